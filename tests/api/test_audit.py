"""AuditService, as an auditor with the public key alone uses it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from gigaledger.common.transparency.checkpoints import Checkpoint, open_checkpoint
from gigaledger.common.transparency.keys import new_key, write_keys
from gigaledger.common.transparency.leaves import recorded_events
from gigaledger.common.transparency.merkle import (
    Frontier,
    check_consistency,
    check_inclusion,
    leaf_hash,
)
from gigaledger.common.transparency.notes import Verifier
from gigaledger.v1 import audit_pb2 as pb
from gigaledger.v1.audit_pb2_grpc import AuditServiceStub
from gigaledger.v1.ledger_pb2 import ReadEventsRequest
from gigaledger.v1.ledger_pb2_grpc import LedgerServiceStub

from tests.api.calls import Caller, error_of
from tests.facts import parties
from tests.log.books import until
from tests.postgres import PostgresServer
from tests.processes import ServiceProcess

KEY = new_key("ledger.test")
FACTS = 300


@pytest.fixture(scope="module")
def sealing(
    postgres_server: PostgresServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ServiceProcess]:
    """A ledger that has a key."""
    path: Path = tmp_path_factory.mktemp("key") / "key"
    write_keys(path, [KEY])
    with postgres_server.database() as url:
        settings = {"GIGALEDGER_DATABASE_URL": url, "GIGALEDGER_SIGNING_KEY": str(path)}
        process = ServiceProcess("ledger", settings)
        process.start()
        try:
            yield process
        finally:
            process.kill()


class Auditor:
    """Knows a book and its public key."""

    def __init__(self, channel: grpc.Channel, caller: Caller) -> None:
        self.stub = AuditServiceStub(channel)
        self.book = caller.book
        self.origin = f"ledger.test/{caller.book}"
        self.verifier: Verifier = KEY.named(self.origin).verifier
        self._read: Any = channel.unary_stream(
            "/gigaledger.v1.LedgerService/ReadEvents",
            request_serializer=ReadEventsRequest.SerializeToString,
        )

    def sealed(self, size: int) -> Checkpoint:
        """Wait until a book is sealed up to a size, and return its checkpoint."""

        def found() -> Checkpoint | None:
            try:
                answer = self.stub.GetLatestCheckpoint(
                    pb.GetLatestCheckpointRequest(book=self.book)
                )
            except grpc.RpcError:
                return None
            checkpoint = open_checkpoint(answer.checkpoint.note, [self.verifier])
            return checkpoint if checkpoint.size >= size else None

        return until(found)

    def leaves(self) -> list[bytes]:
        """The hashes of the leaves, from what ReadEvents sends."""
        pages = self._read(ReadEventsRequest(book=self.book))
        return [leaf_hash(leaf) for page in pages for leaf in recorded_events(page)]


@pytest.fixture
def auditor(sealing: ServiceProcess) -> Iterator[Auditor]:
    """An auditor of a book of 301 events."""
    with sealing.channel() as channel:
        caller = Caller.of_new_book(LedgerServiceStub(channel))
        caller.append(*parties(*(f"P{number}" for number in range(FACTS))))
        yield Auditor(channel, caller)


def root(leaves: list[bytes]) -> bytes:
    """The root of the tree over leaves."""
    frontier = Frontier()
    frontier.extend(leaves)
    return frontier.root()


def test_a_checkpoint_follows_and_proves_each_event(auditor: Auditor) -> None:
    checkpoint = auditor.sealed(FACTS + 1)
    leaves = auditor.leaves()

    assert (checkpoint.origin, checkpoint.size) == (auditor.origin, FACTS + 1)
    assert checkpoint.root == root(leaves)
    for position in (1, 2, 256, 257, FACTS + 1):
        proof = auditor.stub.GetInclusionProof(
            pb.GetInclusionProofRequest(book=auditor.book, position=position)
        )
        assert proof.leaf_hash == leaves[position - 1]
        check_inclusion(
            proof.leaf_hash, position - 1, proof.size, list(proof.hashes), checkpoint.root
        )


def test_checkpoints_are_listed_and_consistent(auditor: Auditor) -> None:
    auditor.sealed(FACTS + 1)
    leaves = auditor.leaves()
    listed: list[pb.Checkpoint] = []
    token = ""
    while True:
        page = auditor.stub.ListCheckpoints(
            pb.ListCheckpointsRequest(parent=auditor.book, page_size=1, page_token=token)
        )
        listed += page.checkpoints
        token = page.next_page_token
        if not token:
            break

    assert [one.size for one in listed] == sorted({one.size for one in listed})
    assert listed[-1].size == FACTS + 1
    for one in listed:
        again = auditor.stub.GetCheckpoint(pb.GetCheckpointRequest(name=one.name)).checkpoint
        assert again == one
        assert open_checkpoint(one.note, [auditor.verifier]).root == root(leaves[: one.size])
        answer = auditor.stub.GetConsistencyProof(
            pb.GetConsistencyProofRequest(book=auditor.book, first_size=one.size)
        )
        check_consistency(
            one.size, answer.second_size, list(answer.hashes), one.root_hash, root(leaves)
        )


def test_the_keys_are_published(auditor: Auditor) -> None:
    first = auditor.sealed(1)
    keys = auditor.stub.ListSigningKeys(pb.ListSigningKeysRequest(parent=auditor.book)).keys

    assert [key.verifier_key for key in keys] == [str(auditor.verifier)]
    assert 1 <= keys[0].from_size <= first.size
    assert not keys[0].succession


INCLUSION = ("GetInclusionProof", pb.GetInclusionProofRequest)
CONSISTENCY = ("GetConsistencyProof", pb.GetConsistencyProofRequest)


@pytest.mark.parametrize(
    ("method", "fields", "wrong"),
    [
        (INCLUSION, {"position": 0}, "position"),
        (INCLUSION, {"position": FACTS + 2}, "position"),
        (INCLUSION, {"position": 3, "size": 2}, "position"),
        (INCLUSION, {"position": 1, "size": FACTS + 2}, "size"),
        (INCLUSION, {"position": 1, "size": -1}, "size"),
        (CONSISTENCY, {}, "first_size"),
        (CONSISTENCY, {"first_size": 3, "second_size": 2}, "first_size"),
        (CONSISTENCY, {"first_size": 3, "second_size": FACTS + 2}, "second_size"),
    ],
)
def test_wrong_sizes_and_positions(
    auditor: Auditor, method: tuple[str, Any], fields: dict[str, int], wrong: str
) -> None:
    auditor.sealed(FACTS + 1)
    name, request = method

    error = error_of(lambda: getattr(auditor.stub, name)(request(book=auditor.book, **fields)))

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.fields == [wrong]


def test_missing_checkpoints(auditor: Auditor) -> None:
    auditor.sealed(FACTS + 1)
    name = f"{auditor.book}/checkpoints/299999"

    error = error_of(lambda: auditor.stub.GetCheckpoint(pb.GetCheckpointRequest(name=name)))
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "CHECKPOINT_NOT_FOUND")
    error = error_of(lambda: auditor.stub.GetCheckpoint(pb.GetCheckpointRequest(name="books/b")))
    assert error.fields == ["name"]
    error = error_of(
        lambda: auditor.stub.ListSigningKeys(pb.ListSigningKeysRequest(parent="books/none"))
    )
    assert error.reason == "BOOK_NOT_FOUND"


def test_a_ledger_without_a_key(caller: Caller, shared_ledger: ServiceProcess) -> None:
    with shared_ledger.channel() as channel:
        stub = AuditServiceStub(channel)

        error = error_of(
            lambda: stub.GetLatestCheckpoint(pb.GetLatestCheckpointRequest(book=caller.book))
        )

    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NO_SIGNING_KEY")
    assert "GIGALEDGER_SIGNING_KEY" in error.message
