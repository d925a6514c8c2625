"""AppendEventStream: requests of one stream, answered in order."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import grpc
import pytest
from gigaledger.ledger.api.service import STREAM_WINDOW
from gigaledger.ledger.log.book_registry import MAX_TRIALS
from gigaledger.v1.ledger_pb2 import (
    AppendEventsRequest,
    AppendEventStreamRequest,
    AppendEventStreamResponse,
)
from gigaledger.v1.ledger_pb2_grpc import LedgerServiceStub
from google.rpc.error_details_pb2 import ErrorInfo

from tests.api.calls import SECONDS, Caller
from tests.facts import parties, placed, received
from tests.processes import StartLedger


def outcomes(
    caller: Caller, requests: Iterable[AppendEventsRequest], *, in_sequence: bool = False
) -> list[AppendEventStreamResponse]:
    """Send requests on one stream and return all answers."""
    sent = (
        AppendEventStreamRequest(append=request, in_sequence=in_sequence) for request in requests
    )
    return list(caller.stub.AppendEventStream(sent, timeout=SECONDS))


def reason(response: AppendEventStreamResponse) -> str:
    """Return why a request was refused."""
    info = ErrorInfo()
    (packed,) = [d for d in response.error.details if d.Is(ErrorInfo.DESCRIPTOR)]
    packed.Unpack(info)
    return str(info.reason)


def test_responses_are_in_the_order_of_requests(caller: Caller) -> None:
    count = STREAM_WINDOW * 3 + 1

    answers = outcomes(caller, (caller.request(*parties(f"P{n}")) for n in range(count)))

    assert [a.appended.receipts[0].position for a in answers] == list(range(2, count + 2))


def test_the_stream_continues_after_a_refused_request(caller: Caller) -> None:
    malformed = received(1)
    malformed.actor = ""
    nowhere = caller.request(*parties("Z"))
    nowhere.book = "books/nowhere"
    answers = outcomes(
        caller,
        [
            caller.request(received(1)),
            caller.request(*parties("SUP", "CUS"), placed(), request_id="order"),
            caller.request(malformed),
            caller.request(*parties("SUP", "CUS"), placed(), request_id="order"),
            caller.request(*parties("THIRD"), request_id="order"),
            nowhere,
            caller.request(received(1)),
        ],
    )

    assert [a.WhichOneof("outcome") for a in answers] == [
        "error", "appended", "error", "appended", "error", "error", "appended",
    ]  # fmt: skip
    assert [reason(answers[index]) for index in (0, 2, 4, 5)] == [
        "HR-ID-03", "FIELD_REQUIRED", "HR-ID-01", "BOOK_NOT_FOUND",
    ]  # fmt: skip
    assert [answers[index].error.code for index in (0, 2, 4, 5)] == [
        code.value[0]
        for code in (
            grpc.StatusCode.FAILED_PRECONDITION,
            grpc.StatusCode.INVALID_ARGUMENT,
            grpc.StatusCode.ALREADY_EXISTS,
            grpc.StatusCode.NOT_FOUND,
        )
    ]
    assert answers[3].appended.replayed
    assert answers[3].appended.receipts == answers[1].appended.receipts
    assert caller.head() == 5


@pytest.mark.parametrize("wrong", ["refused", "malformed", "other content"])
def test_in_sequence_nothing_is_recorded_after_a_refusal(caller: Caller, wrong: str) -> None:
    other = Caller.of_new_book(caller.stub)
    caller.append(*parties("A"), request_id="known")
    goods = received(1)
    if wrong == "malformed":
        goods.actor = ""
    bad = caller.request(goods, request_id="known" if wrong == "other content" else "bad")
    sent = [caller.request(*parties(f"P{n}")) for n in range(300)]

    answers = outcomes(
        caller,
        [*sent[:150], bad, *sent[150:], other.request(*parties("A"))],
        in_sequence=True,
    )

    assert [a.WhichOneof("outcome") for a in answers[:150]] == ["appended"] * 150
    assert (
        reason(answers[150])
        == {
            "refused": "HR-ID-03",
            "malformed": "FIELD_REQUIRED",
            "other content": "HR-ID-01",
        }[wrong]
    )
    assert {reason(a) for a in answers[151:301]} == {"STREAM_STOPPED"}
    assert {a.error.code for a in answers[151:301]} == {grpc.StatusCode.ABORTED.value[0]}
    # Another book has a sequence of its own.
    assert answers[301].appended.receipts[0].position == 2
    assert caller.head() == 152


def test_repeating_a_stream_duplicates_nothing(caller: Caller) -> None:
    requests = [caller.request(*parties(f"P{n}"), request_id=f"r{n}") for n in range(50)]
    first = outcomes(caller, requests[:30])

    again = outcomes(caller, requests)

    assert [a.appended.receipts for a in again[:30]] == [a.appended.receipts for a in first]
    assert [a.appended.replayed for a in again] == [True] * 30 + [False] * 20
    assert caller.head() == 51


def test_responses_do_not_wait_for_the_last_request(caller: Caller) -> None:
    sending: queue.Queue[AppendEventStreamRequest | None] = queue.Queue()
    answers = caller.stub.AppendEventStream(iter(sending.get, None), timeout=SECONDS)
    for number in range(3):
        sending.put(AppendEventStreamRequest(append=caller.request(*parties(f"P{number}"))))
        assert next(answers).appended.receipts[0].position == number + 2
    sending.put(None)

    assert list(answers) == []


def test_an_empty_stream(caller: Caller) -> None:
    assert outcomes(caller, []) == []


def test_a_caller_that_reads_no_responses_is_slowed_down(caller: Caller) -> None:
    """Requests beyond the window and what the transport holds stay with the caller."""
    taken = 0

    def endless() -> Iterator[AppendEventStreamRequest]:
        nonlocal taken
        while True:
            yield AppendEventStreamRequest(append=caller.request(*parties(f"P{taken}")))
            taken += 1

    answers: Any = caller.stub.AppendEventStream(endless(), timeout=SECONDS)
    received_answers = [next(answers) for _ in range(10)]
    answers.cancel()

    assert [a.appended.receipts[0].position for a in received_answers] == list(range(2, 12))
    with pytest.raises(grpc.RpcError):
        next(answers)


def test_a_terminated_ledger_answers_received_requests(start_ledger: StartLedger) -> None:
    process = start_ledger()
    with process.channel() as channel:
        caller = Caller.of_new_book(LedgerServiceStub(channel))
        sending: queue.Queue[AppendEventStreamRequest | None] = queue.Queue()
        answers: Any = caller.stub.AppendEventStream(iter(sending.get, None), timeout=SECONDS)
        for number in range(20):
            sending.put(AppendEventStreamRequest(append=caller.request(*parties(f"P{number}"))))
        first = next(answers)
        code = process.terminate()
        rest = []
        with pytest.raises(grpc.RpcError) as ended:
            rest.extend(answers)
        sending.put(None)
        process.restart()

    assert code == 0
    assert first.appended.receipts[0].position == 2
    assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
    with process.channel() as channel:
        head = Caller(LedgerServiceStub(channel), caller.book).head()
    # Recorded requests were answered, and answered requests are recorded.
    assert head == 2 + len(rest)


def tried(caller: Caller, requests: Iterable[AppendEventsRequest]) -> list[str]:
    """Try requests on one stream, and return for each why it would be refused, or nothing."""

    def validated(request: AppendEventsRequest) -> AppendEventsRequest:
        request.validate_only = True
        return request

    answers = outcomes(caller, map(validated, requests))
    return ["" if a.WhichOneof("outcome") == "appended" else reason(a) for a in answers]


def test_requests_that_are_tried_build_on_each_other_and_are_not_recorded(caller: Caller) -> None:
    outcomes(caller, [caller.request(*parties("OLD"), request_id="old")])
    requests = [
        caller.request(*parties("OLD"), request_id="old"),
        caller.request(*parties("SUP", "CUS")),
        caller.request(placed(), request_id="order"),
        caller.request(received(1)),
        caller.request(placed(quantity=3), request_id="order"),
        caller.request(*parties("OLD")),
        caller.request(received(1), placed()),
        caller.request(received(1)),
    ]

    found = tried(caller, requests)
    recorded = outcomes(caller, [AppendEventsRequest.FromString(_real(r)) for r in requests])

    assert found == ["", "", "", "", "HR-ID-01", "HR-STATE-01", "HR-STATE-01", ""]
    assert found == ["" if a.WhichOneof("outcome") == "appended" else reason(a) for a in recorded]
    assert caller.head() == 7


def _real(request: AppendEventsRequest) -> bytes:
    request.validate_only = False
    return request.SerializeToString()


def trial_stream(caller: Caller) -> tuple[Callable[[AppendEventsRequest | None], None], Any]:
    """Open a stream; return a function that tries a request on it, or ends it, and the answers."""
    sent: queue.SimpleQueue[AppendEventStreamRequest | None] = queue.SimpleQueue()

    def send(request: AppendEventsRequest | None) -> None:
        if request is None:
            sent.put(None)
            return
        request.validate_only = True
        sent.put(AppendEventStreamRequest(append=request))

    return send, caller.stub.AppendEventStream(iter(sent.get, None), timeout=SECONDS)


def test_a_trial_leaves_the_book_to_others(caller: Caller) -> None:
    send, answers = trial_stream(caller)
    send(caller.request(*parties("A")))
    assert next(answers).WhichOneof("outcome") == "appended"

    outcomes(caller, [caller.request(*parties("B"))])
    send(caller.request(*parties("B")))
    send(None)

    assert [answer.WhichOneof("outcome") for answer in answers] == ["appended"]
    assert tried(caller, [caller.request(*parties("B"))]) == ["HR-STATE-01"]
    assert caller.head() == 2


def test_only_so_many_trials_are_under_way(caller: Caller) -> None:
    streams = [trial_stream(caller) for _ in range(MAX_TRIALS)]
    for send, answers in streams:
        send(caller.request(*parties("A")))
        assert next(answers).WhichOneof("outcome") == "appended"

    refused = caller.request(*parties("A"))
    refused.validate_only = True
    (answer,) = outcomes(caller, [refused])
    for send, answers in streams:
        send(None)
        assert list(answers) == []

    assert answer.error.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert tried(caller, [caller.request(*parties("A"))]) == [""]
