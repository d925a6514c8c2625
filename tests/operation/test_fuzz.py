"""No request makes a method of any service return INTERNAL or UNKNOWN.

`--hypothesis-profile=thorough` sends tens of thousands of requests.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import grpc
import pytest
from gigaledger.common.grpc.server import MAX_MESSAGE_BYTES
from gigaledger.v1 import audit_pb2, ledger_pb2, projections_pb2
from gigaledger.v1.events_pb2 import Event
from gigaledger.v1.ledger_pb2 import AppendEventStreamResponse
from gigaledger.v1.ledger_pb2_grpc import LedgerServiceStub
from gigaledger.v1.projections_pb2 import CounterfactualReading, QueryCounterfactualRequest
from gigaledger.v1.projections_pb2_grpc import ProjectionServiceStub
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.calls import Caller, error_of
from tests.api.raw import UNKNOWN_FIELD, call
from tests.facts import certified, claimed, definitive, invoiced, parties, placed
from tests.hypothesis_profiles import examples
from tests.messages import messages
from tests.processes import RunningServices

EXAMPLES = settings(
    max_examples=examples(30),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
METHODS = [
    method
    for module in (ledger_pb2, audit_pb2, projections_pb2, health_pb2, reflection_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
FAULTS = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}
BOOK_FIELDS = ("book", "parent", "name")


@pytest.fixture(scope="module")
def channels(shared_services: RunningServices) -> Iterator[dict[str, grpc.Channel]]:
    """Channels to a ledger and its projections, by service: `ledger` and `projections`."""
    with ExitStack() as stack:
        yield {
            service.name: stack.enter_context(service.channel())
            for service in (shared_services.ledger, shared_services.projections)
        }


@pytest.fixture(scope="module")
def caller(channels: dict[str, grpc.Channel]) -> Caller:
    """A caller of a book with a small deal."""
    caller = Caller.of_new_book(LedgerServiceStub(channels["ledger"]))
    caller.append(
        *parties("SUP", "CUS"), definitive(), claimed(), certified(), placed(), invoiced()
    )
    return caller


def named(method: MethodDescriptor) -> str:
    return f"{method.containing_service.full_name}/{method.name}"


@st.composite
def requests(draw: st.DrawFn, method: MethodDescriptor, book: str) -> bytes:
    """Serialized requests: valid messages, often about the book, and damaged ones."""
    message = draw(messages(method.input_type))
    target = getattr(message, "append", message)
    for field in BOOK_FIELDS:
        if field in target.DESCRIPTOR.fields_by_name and draw(st.booleans()):
            suffix = "/projections/capacity" if "Projection" in method.name else ""
            setattr(target, field, book + (suffix if field == "name" else ""))
    _wait_briefly(message)
    content = message.SerializeToString()
    return draw(st.one_of(st.just(content), damaged(content)))


def damaged(content: bytes) -> st.SearchStrategy[bytes]:
    """Messages with a part replaced by random bytes, or with an unknown field."""
    cuts = st.integers(0, len(content))
    return st.one_of(
        st.builds(lambda at, b, to: content[:at] + b + content[to:], cuts, st.binary(), cuts),
        st.just(content + UNKNOWN_FIELD),
    )


def _wait_briefly(message: Message) -> None:
    """Shorten waits for a position, unless they are out of range."""
    for field, value in message.ListFields():
        if field.message_type is not None and not field.is_repeated:
            if field.message_type.name == "ReadSpec" and 0 <= value.max_wait.seconds <= 60:
                value.max_wait.FromMilliseconds(1)
            else:
                _wait_briefly(value)


def fault_of(channel: grpc.Channel, method: MethodDescriptor, content: bytes) -> object:
    """Make a call and return its status if that is INTERNAL or UNKNOWN."""
    assert len(content) < MAX_MESSAGE_BYTES
    try:
        response = call(channel, named(method), content)
    except grpc.RpcError as error:
        return (error.code(), error.details()) if error.code() in FAULTS else None
    if method.name == "AppendEventStream" and response:
        status = AppendEventStreamResponse.FromString(response).error
        if status.code in {code.value[0] for code in FAULTS}:
            return status
    return None


def test_a_nul_character(channels: dict[str, grpc.Channel], caller: Caller) -> None:
    request = QueryCounterfactualRequest(
        book=caller.book, agreement="a\0", readings=[CounterfactualReading()]
    )
    stub = ProjectionServiceStub(channels["projections"])

    error = error_of(lambda: stub.QueryCounterfactual(request))

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.fields == ["agreement"]


@pytest.mark.timeout(0)
@pytest.mark.parametrize("method", METHODS, ids=named)
def test_any_request(
    channels: dict[str, grpc.Channel], caller: Caller, method: MethodDescriptor
) -> None:
    of_projections = method.containing_service.name == "ProjectionService"
    channel = channels["projections" if of_projections else "ledger"]

    @EXAMPLES
    @given(requests(method, caller.book))
    def check(content: bytes) -> None:
        assert fault_of(channel, method, content) is None

    check()


@pytest.mark.timeout(0)
@pytest.mark.parametrize("method", METHODS, ids=named)
def test_any_bytes(
    channels: dict[str, grpc.Channel], caller: Caller, method: MethodDescriptor
) -> None:
    of_projections = method.containing_service.name == "ProjectionService"
    channel = channels["projections" if of_projections else "ledger"]
    assert caller.book

    @settings(EXAMPLES, max_examples=examples(10))
    @given(st.binary(max_size=200))
    def check(content: bytes) -> None:
        assert fault_of(channel, method, content) is None

    check()


@pytest.mark.timeout(0)
def test_any_fact(caller: Caller) -> None:
    @settings(EXAMPLES, max_examples=examples(120))
    @given(messages(Event.DESCRIPTOR))
    def check(event: Event) -> None:
        event.actor = event.actor or "alice"
        assert code_of(caller, event) not in FAULTS

    check()


def code_of(caller: Caller, event: Event) -> grpc.StatusCode:
    """Append a fact and return the status code."""
    try:
        caller.stub.AppendEvents(caller.request(event), timeout=30)
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    return grpc.StatusCode.OK
