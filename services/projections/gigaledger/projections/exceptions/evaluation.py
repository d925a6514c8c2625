"""Judging behind the fold: events go in as they are recorded, verdicts are written as they change.

What is judged here is what books have many of: documents, and the racks of agreements. What is said
at a position is a function of the log, so it is the same whoever judges, in how many parts, and
when. What is kept in memory is what tables hold, and is read again where it is not there.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
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
    AllRacks,
    CapacityDelta,
)
from gigaledger.projections.exceptions.hardware_reevaluation import judged_anew
from psycopg import AsyncConnection

JUDGED_EVENTS = 1000
"""Of how many events verdicts are written in one transaction, at the most."""
JUDGING_SECONDS = 0.5
"""How long events are judged in one transaction, give or take the last."""
BREATH_SECONDS = 0.00001
"""How long a judge rests after each event. One that does not keeps the interpreter for milliseconds
at a time, and questions wait that long again and again."""
JUDGED_DOCUMENTS = 500
"""How many documents are judged anew in one transaction, at the most."""
KEPT_DOCUMENTS = 4096
"""How many documents are kept in memory. Those in which little time passes between two events need
not be read again."""

_POLICY = "policy_adopted"
_LOOKED_UP = sorted(REFERENCES | CERTIFICATES | {RATING, _POLICY})


@dataclass(slots=True)
class _Known:
    """What is kept in memory of a book, up to a position."""

    position: int
    policy: Policy
    references: References
    racks: AllRacks
    earliest: dict[str, dt.date]
    documents: OrderedDict[str, Document] = field(default_factory=OrderedDict)


class ExceptionEvaluator:
    """Judges one generation of the projection of a book."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._known: _Known | None = None

    async def advance(
        self,
        connection: AsyncConnection[Any],
        named: Callable[[bytes], bytes],
        judged: EvaluationProgress,
        until: int,
    ) -> EvaluationProgress:
        """Judge some of what follows, and write what changes.

        Args:
            connection: of the projections' role, in a transaction, in the schema of the book.
            named: puts the names of the generation's tables into a statement.
            judged: how far the book is judged.
            until: up to where it is folded, further than it is judged.

        Returns:
            How far it is judged now.

        Raises:
            FoldError: an event cannot be judged.
        """
        known, self._known = self._known, None
        tables = Tables(connection, named)
        if known is None or known.position != judged.position:
            known = await _remember(tables, judged.position)
        events = await tables.next_events(
            judged.position, min(JUDGED_EVENTS, until - judged.position)
        )
        targets = await tables.targets(events)
        await tables.place(events, targets)
        head, target = events[0], targets.get(target_of(events[0]))
        if _judges_anew(known, head.posting, target):
            now = await _judge_anew(tables, known, judged, head, target)
        else:
            number = next(
                (
                    at
                    for at, event in enumerate(events)
                    if at and _judges_anew(known, event.posting, targets.get(target_of(event)))
                ),
                len(events),
            )
            del events[number:]
            await _load(tables, known, events)
            written = PendingWrites()
            # Beside the loop: questions are answered meanwhile.
            last = await asyncio.to_thread(_judge, known, events, targets, written)
            await tables.write(written, known.racks)
            now = EvaluationProgress(last.position, last.recorded_time)
        known.position = now.position
        self._known = known
        return now


def _judges_anew(known: _Known, posting: Posting, target: StoredEvent | None) -> bool:
    """Tell whether an event changes what was judged before it in more than one document."""
    if posting.kind == _POLICY:
        return known.policy.followed_by(posting.fact).within != known.policy.within
    return target is not None and target.posting.kind in MEMBERSHIPS | TERMS | {RATING}


def _judge(
    known: _Known,
    events: Sequence[StoredEvent],
    targets: Mapping[int, StoredEvent],
    written: PendingWrites,
) -> Posting:
    """Judge events for a while, and return the last one that was."""
    end = time.monotonic() + JUDGING_SECONDS
    for event in events:
        try:
            _judge_one(known, event, targets.get(target_of(event)), written)
        except Exception as error:
            # Whatever goes wrong in a rule must stop this projection alone, at this position.
            reason = f"{event.posting.kind}: {type(error).__name__}: {error}"
            raise FoldError(event.posting.position, reason) from error
        # Whoever answers questions in this process goes first.
        time.sleep(BREATH_SECONDS)
        if time.monotonic() > end:
            break
    return event.posting


def _judge_one(
    known: _Known, event: StoredEvent, target: StoredEvent | None, written: PendingWrites
) -> None:
    posting = event.posting
    earliest = known.earliest.get(posting.status)
    if earliest is None or posting.effective_date < earliest:
        known.earliest[posting.status] = posting.effective_date
        written.statuses.append((posting.status, posting.position, posting.effective_date))
    if event.document:
        _judge_document(known, event, target, written)
    else:
        _learn(known, posting, target)


def _judge_document(
    known: _Known, event: StoredEvent, target: StoredEvent | None, written: PendingWrites
) -> None:
    posting = event.posting
    document = known.documents[event.document]
    placed = document.placed if (target or event).posting.kind in GOODS else []
    names = len(document.names) if document.has_begun else None
    document.take(posting)
    written.documents[event.document] = document
    if len(document.names) != names:
        written.named[event.document] = document.names
    deltas: list[CapacityDelta] = []
    if posting.kind in GOODS:
        deltas = known.racks.receive(posting, placed)
    elif target is not None and target.posting.kind in GOODS:
        deltas = known.racks.take_back(target.posting, placed, posting)
    written.carried += ((posting.position, delta) for delta in deltas)


def _learn(known: _Known, posting: Posting, target: StoredEvent | None) -> None:
    """Take in what is no trade."""
    about = target.posting if target else posting
    if about.kind == _POLICY:
        known.policy = known.policy.followed_by(posting.fact)
    elif about.kind in CERTIFICATES:
        known.racks.certify(about, posting)
    elif about.kind == RATING:
        if target is None:
            known.racks.ratings.add(posting)
    elif about.kind in REFERENCES:
        name = known.references.add(posting)
        for document in known.documents.values():
            if not name or name in document.names:
                document.know(posting)


async def _remember(tables: Tables, position: int) -> _Known:
    """Read what is known at a position."""
    policy, references = Policy(), References()
    ratings: dict[int, Posting] = {}
    certificates: dict[int, Posting] = {}
    for event in await tables.events_of_book(_LOOKED_UP, position):
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
    racks = AllRacks(policy)
    for rating in ratings.values():
        racks.ratings.add(rating)
    await tables.restore(racks, certificates.values(), position)
    return _Known(position, policy, references, racks, await tables.earliest())


async def _load(tables: Tables, known: _Known, events: Iterable[StoredEvent]) -> None:
    """Have the documents of events in memory, and not many more."""
    wanted = {event.document for event in events if event.document}
    for name in wanted & known.documents.keys():
        known.documents.move_to_end(name)
    known.documents.update(
        await tables.documents(
            wanted - known.documents.keys(), known.policy, known.references, known.position
        )
    )
    while len(known.documents) > max(KEPT_DOCUMENTS, len(wanted)):
        known.documents.popitem(last=False)


async def _judge_anew(
    tables: Tables,
    known: _Known,
    judged: EvaluationProgress,
    event: StoredEvent,
    target: StoredEvent | None,
) -> EvaluationProgress:
    """Judge documents anew for one event, some at a time, and then the racks."""
    posting = event.posting
    about = target.posting if target else posting
    policy = known.policy.followed_by(posting.fact) if posting.kind == _POLICY else None
    written = PendingWrites()
    if about.kind != RATING:
        # A policy is about all of them.
        names = await tables.naming(reference_key(about) or "", judged.until, JUDGED_DOCUMENTS)
        if names:
            written.documents = await tables.documents(
                names, known.policy, known.references, known.position
            )
            await asyncio.to_thread(_anew, written.documents.values(), posting, policy)
            await tables.write(written, AllRacks(known.policy))
            return EvaluationProgress(judged.position, judged.time, names[-1])
    known.documents.clear()
    limit = (policy or known.policy).threshold(TOLERANCE)
    if about.kind == RATING or limit != known.policy.threshold(TOLERANCE):
        known.racks = await _racks_anew(tables, known, policy or known.policy, posting, written)
    _judge(known, [event], {about.position: target} if target else {}, written)
    await tables.write(written, known.racks)
    return EvaluationProgress(posting.position, posting.recorded_time)


def _anew(documents: Iterable[Document], posting: Posting, policy: Policy | None) -> None:
    for document in documents:
        if policy is None:
            document.know(posting)
        else:
            document.judge_by(policy, posting.position)


async def _racks_anew(
    tables: Tables, known: _Known, policy: Policy, posting: Posting, written: PendingWrites
) -> AllRacks:
    """Judge racks from the beginning of the book up to a posting; keep what is still said."""
    # It takes as long as it takes, and nobody else judges meanwhile.
    await tables.wait_for_ever()
    told = await tables.about_racks(posting.position)
    racks, deltas = await asyncio.to_thread(judged_anew, policy, told)
    for agreement in known.racks.agreements.keys() | racks.agreements.keys():
        anew, spread = racks.under(agreement), known.racks.under(agreement).spread
        spread.set_from(anew.spread.parts(), posting.position)
        anew.spread = spread
    if posting.kind == REVERSAL:
        written.carried += ((posting.position, delta) for delta in deltas)
    return racks
