"""Incremental evaluation of exceptions: events in recorded order in, changed findings out.

Evaluated here are the subjects that books have many of: documents, and the hardware of agreements.
The result at a position is a function of the log, no matter which process evaluates, in which
batches, and when. State in memory mirrors the tables and is read again after a change of process.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gigaledger.exceptions.policy import Policy
from gigaledger.exceptions.posting import Posting
from gigaledger.projections.engine.folding import FoldError
from gigaledger.projections.engine.projection import EvaluationProgress
from gigaledger.projections.exceptions.documents import (
    MEMBERSHIPS,
    REFERENCES,
    REVERSAL,
    TERMS,
    Document,
    References,
    reference_key,
)
from gigaledger.projections.exceptions.evaluation_store import (
    PendingWrites,
    StoredEvent,
    Tables,
    target_of,
)
from gigaledger.projections.exceptions.hardware import (
    CERTIFICATES,
    GOODS,
    RATING,
    TOLERANCE,
    AllHardware,
    CapacityDelta,
)
from gigaledger.projections.exceptions.hardware_reevaluation import reevaluate
from psycopg import AsyncConnection

BATCH_EVENTS = 5000
"""Events evaluated in one transaction, at most."""
BATCH_DOCUMENTS = 500
"""Documents re-evaluated in one transaction, at most."""
CACHED_DOCUMENTS = 4096
"""Documents kept in memory between batches, so that active ones need not be read again."""

_POLICY = "policy_adopted"
_REFERENCED = sorted(REFERENCES | CERTIFICATES | {RATING, _POLICY})


@dataclass(slots=True)
class _State:
    """What is kept in memory of a book, up to a position."""

    position: int
    policy: Policy
    references: References
    hardware: AllHardware
    earliest: dict[str, dt.date]
    documents: OrderedDict[str, Document] = field(default_factory=OrderedDict)


class ExceptionEvaluator:
    """Evaluates one generation of the projection of a book."""

    def __init__(self) -> None:
        """Start without state; the first batch reads it."""
        self._state: _State | None = None

    async def advance(
        self,
        connection: AsyncConnection[Any],
        qualify_tables: Callable[[bytes], bytes],
        progress: EvaluationProgress,
        limit: int,
    ) -> EvaluationProgress:
        """Evaluate some of the next events and write what changes.

        Args:
            connection: of the projections' role, in a transaction, in the schema of the book.
            qualify_tables: puts the names of the generation's tables into a statement.
            progress: how far the book is evaluated.
            limit: the last position to evaluate, after that of the progress.

        Returns:
            How far it is evaluated now.

        Raises:
            FoldError: an event cannot be evaluated.
        """
        state, self._state = self._state, None
        tables = Tables(connection, qualify_tables)
        if state is None or state.position != progress.position:
            state = await _read_state(tables, progress.position)
        events = await tables.next_events(
            progress.position, min(BATCH_EVENTS, limit - progress.position)
        )
        targets = await tables.targets(events)
        await tables.assign_documents(events, targets)
        head, target = events[0], targets.get(target_of(events[0]))
        if _affects_other_documents(state, head.posting, target):
            reached = await _reevaluate(tables, state, progress, head, target)
        else:
            batch = _until_reevaluation(state, events, targets)
            await _load(tables, state, batch)
            pending = PendingWrites()
            # In a thread, so that health checks are answered meanwhile.
            await asyncio.to_thread(_evaluate, state, batch, targets, pending)
            await tables.write(pending, state.hardware)
            last = batch[-1].posting
            reached = EvaluationProgress(last.position, last.recorded_time)
        state.position = reached.position
        self._state = state
        return reached


def _affects_other_documents(state: _State, posting: Posting, target: StoredEvent | None) -> bool:
    """Return whether an event changes the findings of documents recorded before it."""
    if posting.kind == _POLICY:
        return state.policy.followed_by(posting.fact).within != state.policy.within
    return target is not None and target.posting.kind in MEMBERSHIPS | TERMS | {RATING}


def _until_reevaluation(
    state: _State, events: Sequence[StoredEvent], targets: Mapping[int, StoredEvent]
) -> Sequence[StoredEvent]:
    """Return the events before the first, after the head, that affects other documents."""
    for index, event in enumerate(events):
        target = targets.get(target_of(event))
        if index and _affects_other_documents(state, event.posting, target):
            return events[:index]
    return events


def _evaluate(
    state: _State,
    events: Iterable[StoredEvent],
    targets: Mapping[int, StoredEvent],
    pending: PendingWrites,
) -> None:
    for event in events:
        try:
            _evaluate_event(state, event, targets.get(target_of(event)), pending)
        except Exception as error:
            # Whatever fails in a rule must stop this projection only, at this position.
            reason = f"{event.posting.kind}: {type(error).__name__}: {error}"
            raise FoldError(event.posting.position, reason) from error


def _evaluate_event(
    state: _State, event: StoredEvent, target: StoredEvent | None, pending: PendingWrites
) -> None:
    posting = event.posting
    earliest = state.earliest.get(posting.status)
    if earliest is None or posting.effective_date < earliest:
        state.earliest[posting.status] = posting.effective_date
        pending.statuses.append((posting.status, posting.position, posting.effective_date))
    if event.document:
        _evaluate_document(state, event, target, pending)
    else:
        _apply_reference(state, posting, target)


def _evaluate_document(
    state: _State, event: StoredEvent, target: StoredEvent | None, pending: PendingWrites
) -> None:
    posting = event.posting
    document = state.documents[event.document]
    placed = document.placed if (target or event).posting.kind in GOODS else []
    names = len(document.names) if document.has_begun else None
    document.apply(posting)
    pending.documents[event.document] = document
    if len(document.names) != names:
        pending.names[event.document] = document.names
    deltas: list[CapacityDelta] = []
    if posting.kind in GOODS:
        deltas = state.hardware.receive(posting, placed)
    elif target is not None and target.posting.kind in GOODS:
        deltas = state.hardware.take_back(target.posting, placed, posting)
    pending.deltas += ((posting.position, delta) for delta in deltas)


def _apply_reference(state: _State, posting: Posting, target: StoredEvent | None) -> None:
    """Apply an event that belongs to no document."""
    about = target.posting if target else posting
    if about.kind == _POLICY:
        state.policy = state.policy.followed_by(posting.fact)
    elif about.kind in CERTIFICATES:
        state.hardware.certify(about, posting)
    elif about.kind == RATING:
        if target is None:
            state.hardware.ratings.add(posting)
    elif about.kind in REFERENCES:
        name = state.references.add(posting)
        for document in state.documents.values():
            if not name or name in document.names:
                document.apply_reference(posting)


async def _read_state(tables: Tables, position: int) -> _State:
    """Read the state of a book at a position."""
    policy, references = Policy(), References()
    ratings: dict[int, Posting] = {}
    certificates: dict[int, Posting] = {}
    for event in await tables.events_of_book(_REFERENCED, position):
        posting = event.posting
        if posting.kind == REVERSAL:
            for held in (ratings, certificates):
                held.pop(posting.fact.position, None)
            references.add(posting)
        elif posting.kind == _POLICY:
            policy = policy.followed_by(posting.fact)
        elif posting.kind == RATING:
            ratings[posting.position] = posting
        elif posting.kind in CERTIFICATES:
            certificates[posting.position] = posting
        else:
            references.add(posting)
    hardware = AllHardware(policy)
    for rating in ratings.values():
        hardware.ratings.add(rating)
    await tables.restore(hardware, certificates.values(), position)
    return _State(position, policy, references, hardware, await tables.earliest())


async def _load(tables: Tables, state: _State, events: Sequence[StoredEvent]) -> None:
    """Bring the documents of events into memory, and evict others."""
    needed = {event.document for event in events if event.document}
    for name in needed & state.documents.keys():
        state.documents.move_to_end(name)
    state.documents |= await tables.documents(
        needed - state.documents.keys(), state.policy, state.references, state.position
    )
    while len(state.documents) > max(CACHED_DOCUMENTS, len(needed)):
        state.documents.popitem(last=False)


async def _reevaluate(
    tables: Tables,
    state: _State,
    progress: EvaluationProgress,
    event: StoredEvent,
    target: StoredEvent | None,
) -> EvaluationProgress:
    """Re-evaluate documents for one event, a batch at a time, and then the hardware."""
    posting = event.posting
    about = target.posting if target else posting
    policy = state.policy.followed_by(posting.fact) if posting.kind == _POLICY else None
    pending = PendingWrites()
    if about.kind != RATING:
        # A policy concerns all documents.
        names = await tables.documents_referencing(
            reference_key(about) or "", progress.resume_after, BATCH_DOCUMENTS
        )
        if names:
            pending.documents = await tables.documents(
                names, state.policy, state.references, state.position
            )
            documents = list(pending.documents.values())
            await asyncio.to_thread(_reevaluate_documents, documents, posting, policy)
            await tables.write(pending, AllHardware(state.policy))
            return EvaluationProgress(progress.position, progress.recorded_time, names[-1])
    state.documents.clear()
    tolerance = (policy or state.policy).threshold(TOLERANCE)
    if about.kind == RATING or tolerance != state.policy.threshold(TOLERANCE):
        state.hardware = await _reevaluate_hardware(
            tables, state, policy or state.policy, posting, pending
        )
    _evaluate(state, [event], {about.position: target} if target else {}, pending)
    await tables.write(pending, state.hardware)
    return EvaluationProgress(posting.position, posting.recorded_time)


def _reevaluate_documents(
    documents: Iterable[Document], posting: Posting, policy: Policy | None
) -> None:
    for document in documents:
        if policy is None:
            document.apply_reference(posting)
        else:
            document.adopt_policy(policy, posting.position)


async def _reevaluate_hardware(
    tables: Tables, state: _State, policy: Policy, posting: Posting, pending: PendingWrites
) -> AllHardware:
    """Evaluate hardware from the beginning of the book, keeping the findings that remain."""
    await tables.disable_idle_timeout()
    history = await tables.hardware_history(posting.position)
    hardware, deltas = await asyncio.to_thread(reevaluate, policy, history)
    for agreement in state.hardware.agreements.keys() | hardware.agreements.keys():
        fresh, findings = hardware.under(agreement), state.hardware.under(agreement).history
        findings.set_from(fresh.history.segments(), posting.position)
        fresh.history = findings
    if posting.kind == REVERSAL:
        pending.deltas += ((posting.position, delta) for delta in deltas)
    return hardware
