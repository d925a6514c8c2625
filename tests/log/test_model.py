"""The log against a model: several writers, restarts and repeated requests change no outcome.

The model is the domain's book in memory, which takes one request after another, and a dictionary of
request ids. Whatever the machine does, the log holds what the model holds.
"""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import ExitStack
from uuid import uuid4

from gigaledger.ledger.api.requests import submission_of
from gigaledger.ledger.domain.refusals import Refused
from gigaledger.ledger.log.submissions import Receipt
from gigaledger.ledger.log.writer import BookWriter
from gigaledger.v1.ledger_pb2 import AppendEventsRequest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.facts import (
    called,
    cancelled,
    certified,
    claimed,
    definitive,
    funded,
    invoiced,
    issued,
    paid,
    placed,
    received,
    reversed_entry,
)
from tests.hypothesis_profiles import examples
from tests.log.books import NOW, SIDES, answer, append_request, at_version, new_book, positions
from tests.rules.ledger import MemoryLedger

NUMBERS = st.integers(1, 3)
QUANTITIES = st.integers(1, 120)
FACTS = st.one_of(
    NUMBERS.map(lambda n: placed(purchase_order=f"PO-{n}")),
    QUANTITIES.map(received),
    QUANTITIES.map(cancelled),
    st.builds(lambda a, n: invoiced(a, f"INV-{n}"), QUANTITIES, NUMBERS),
    st.builds(
        lambda a, n, i: paid(a, f"PAY-{n}", invoice=f"INV-{i}"), QUANTITIES, NUMBERS, NUMBERS
    ),
    st.integers(1, 1_000_000).map(claimed),
    st.builds(lambda p, n: certified(p, f"CERT-{n}"), st.integers(1, 1_000_000), NUMBERS),
    st.builds(lambda a, n: called(a, f"CALL-{n}"), st.integers(1, 100_000), NUMBERS),
    st.builds(lambda a, n: funded(a, f"FUND-{n}"), st.integers(1, 100_000), NUMBERS),
    st.builds(lambda n: issued("7", f"SEC-{n}"), NUMBERS),
    st.integers(1, 30).map(reversed_entry),
)
CHECKS = st.builds(
    at_version, st.sampled_from(["purchaseOrders/PO-1", "agreements/AGR"]), st.integers(0, 5)
)
REQUESTS = st.builds(
    lambda number, events, checks, validate_only: append_request(
        f"request-{number}", *events, checks=checks, validate_only=validate_only
    ),
    st.integers(0, 40),
    st.lists(FACTS, min_size=1, max_size=4),
    st.one_of(st.just([]), st.just([]), st.lists(CHECKS, min_size=1, max_size=1)),
    st.sampled_from([False, False, False, True]),
)
Outcome = list[int] | tuple[str, ...]
"""The positions of a request (0 if it was only validated), or the rules that refuse it."""


class Model:
    """What a book holds, and what it answers."""

    def __init__(self) -> None:
        self.ledger = MemoryLedger(NOW)
        self.known: dict[str, tuple[AppendEventsRequest, list[int]]] = {}

    def send(self, request: AppendEventsRequest) -> Outcome:
        """Take a request."""
        content = AppendEventsRequest()
        content.CopyFrom(request)
        content.validate_only = False
        if request.request_id in self.known:
            first, found = self.known[request.request_id]
            return found if first == content else ("HR-ID-01",)
        book, decided = self.ledger.book, submission_of(request, Future()).request
        try:
            if request.validate_only:
                return [0 for _ in book.try_out(decided, NOW)]
            found = [accepted.entry.position for accepted in book.accept(decided, NOW)]
        except Refused as refused:
            return _codes(refused)
        self.known[request.request_id] = content, found
        return found


class LogMachine(RuleBasedStateMachine):
    """Two ledger processes on one book, which are stopped and started again."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.book = new_book(url, f"b{uuid4().hex}")
        self.model = Model()
        self.stacks = [ExitStack(), ExitStack()]
        self.writers = [self._start(stack) for stack in self.stacks]
        self._append([append_request("deal", *SIDES, placed(), definitive(), claimed(500_000))], 0)

    def teardown(self) -> None:
        """Stop the processes."""
        for stack in self.stacks:
            stack.close()

    @rule(which=st.integers(0, 1), request=REQUESTS)
    def append(self, which: int, request: AppendEventsRequest) -> None:
        """One request alone."""
        self._append([request], which)

    @rule(which=st.integers(0, 1), requests=st.lists(REQUESTS, min_size=2, max_size=6))
    def append_as_a_group(self, which: int, requests: list[AppendEventsRequest]) -> None:
        """Several requests in one transaction."""
        with self.book.sharing_a_transaction(self.writers[which]):
            futures = self._submit(requests, which)
        self._compare(requests, futures)

    @precondition(lambda self: len(self.model.known) > 1)
    @rule(which=st.integers(0, 1), data=st.data())
    def repeat(self, which: int, data: st.DataObject) -> None:
        """A request that was accepted, sent again."""
        name = data.draw(st.sampled_from(sorted(self.model.known)))
        self._append([self.model.known[name][0]], which)

    @rule(which=st.integers(0, 1))
    def restart(self, which: int) -> None:
        """A process that remembers nothing."""
        self.stacks[which].close()
        self.writers[which] = self._start(self.stacks[which])

    @invariant()
    def the_log_holds_what_the_model_holds(self) -> None:
        """Every fact, in its place, under its version, linked and numbered."""
        accepted = self.model.ledger.book.pending
        logged = [
            (row.position, row.stream, row.stream_version, row.fact_type, row.agreement)
            for row in self.book.rows()
        ]
        assert logged == [
            (e.position, e.stream, e.version, e.kind, item.agreement)
            for item in accepted
            for e in [item.entry]
        ]
        assert self.book.head().position == len(accepted)
        assert {position for _, position in self.book.select("stream, position", "link")} == {
            item.entry.position for item in accepted if item.links
        }

    def _start(self, stack: ExitStack) -> BookWriter:
        return stack.enter_context(self.book.writer())

    def _append(self, requests: list[AppendEventsRequest], which: int) -> None:
        self._compare(requests, self._submit(requests, which))

    def _submit(self, requests: list[AppendEventsRequest], which: int) -> list[Future[Receipt]]:
        futures: list[Future[Receipt]] = [Future() for _ in requests]
        for request, future in zip(requests, futures, strict=True):
            self.writers[which].submit(submission_of(request, future))
        return futures

    def _compare(self, requests: list[AppendEventsRequest], futures: list[Future[Receipt]]) -> None:
        for request, future in zip(requests, futures, strict=True):
            try:
                outcome: Outcome = positions(answer(future))
            except Refused as refused:
                outcome = _codes(refused)
            assert outcome == self.model.send(request), request


def _codes(refused: Refused) -> tuple[str, ...]:
    return tuple(sorted({violation.rule.code for violation in refused.violations}))


def test_the_log_is_the_model(database_url: str) -> None:
    run_state_machine_as_test(
        lambda: LogMachine(database_url),  # type: ignore[arg-type]  # a factory is taken as well
        settings=settings(
            max_examples=examples(10),
            stateful_step_count=25,
            deadline=None,
            # A failure is found in seconds; to shrink it through a database takes minutes.
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
