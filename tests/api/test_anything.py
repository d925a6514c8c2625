"""Whatever a caller sends, the answer is one of the contract: never an error of our own."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from gigaledger.v1 import ledger_pb2 as pb
from gigaledger.v1.events_pb2 import Event
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.calls import Caller
from tests.facts import certified, claimed, definitive, invoiced, parties, placed
from tests.hypothesis_profiles import examples
from tests.messages import messages

OF_THE_CONTRACT = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.ABORTED,
}
METHODS = pb.DESCRIPTOR.services_by_name["LedgerService"].methods_by_name
EXAMPLES = settings(
    max_examples=examples(25),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def code_of(call: Any) -> grpc.StatusCode:
    """Make a call and return how it ends; what has no end is cut off after its first response."""
    ended: Any
    try:
        answer = call()
        if hasattr(answer, "cancel"):
            next(answer, None)
            answer.cancel()
    except grpc.RpcError as error:
        ended = error
    else:
        return grpc.StatusCode.OK
    code: grpc.StatusCode = ended.code()
    return code


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"AppendEventStream"}))
def test_any_request(caller: Caller, method: str) -> None:
    descriptor = METHODS[method].input_type
    named = {"book", "parent", "name"} & set(descriptor.fields_by_name)

    @EXAMPLES
    @given(messages(descriptor), st.booleans())
    def check(request: Any, ours: bool) -> None:  # noqa: FBT001 - given
        for field in named if ours else ():
            setattr(request, field, caller.book)
        code = code_of(lambda: getattr(caller.stub, method)(request, timeout=20))
        assert code in OF_THE_CONTRACT | {grpc.StatusCode.OK}

    check()


def test_any_fact(caller: Caller) -> None:
    caller.append(
        *parties("SUP", "CUS"), definitive(), claimed(), certified(), placed(), invoiced()
    )

    @settings(EXAMPLES, max_examples=examples(120))
    @given(messages(Event.DESCRIPTOR))
    def check(event: Any) -> None:
        event.actor = event.actor or "alice"
        code = code_of(lambda: caller.stub.AppendEvents(caller.request(event), timeout=20))
        assert code in OF_THE_CONTRACT | {grpc.StatusCode.OK}

    check()
