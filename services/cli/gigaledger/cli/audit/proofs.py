"""Inclusion proofs of events, checked before they are shown."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gigaledger.cli import client
from gigaledger.cli.audit.verify import held_against
from gigaledger.cli.errors import CommandError, ExitCode
from gigaledger.common.transparency.merkle import ProofError, check_inclusion
from gigaledger.common.transparency.notes import Verifier
from gigaledger.v1 import audit_pb2 as pb
from gigaledger.v1.audit_pb2_grpc import AuditServiceStub


@dataclass(frozen=True, slots=True)
class Proof:
    """That an event is in a sealed history: it leads from its bytes to the signed root.

    Attributes:
        leaf_hash: hash of its bytes.
        index: number of the leaf, from 0: its position less 1.
        path: hashes of the siblings, from the leaf up.
    """

    leaf_hash: bytes
    index: int
    path: tuple[bytes, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the proof for programs: hashes in base64."""
        return {
            "leafHash": base64.b64encode(self.leaf_hash).decode(),
            "leafIndex": str(self.index),
            "path": [base64.b64encode(one).decode() for one in self.path],
        }


@dataclass(frozen=True, slots=True)
class Proofs:
    """Proofs of events against one checkpoint.

    Attributes:
        note: the checkpoint, as it is signed.
        size: number of events that it covers.
        by_position: a proof for each requested position that is covered.
    """

    note: str
    size: int
    by_position: Mapping[int, Proof]


def prove(
    positions: Iterable[int],
    leaf_hashes: Mapping[int, bytes],
    book: str,
    trusted: Sequence[Verifier],
    ledger: str,
) -> Proofs:
    """Return proofs that events are in the latest checkpoint of a book, all of them checked.

    Args:
        positions: of the events.
        leaf_hashes: by position, the hash of the bytes that were read.
        book: resource name of the book.
        trusted: the public keys that the auditor holds.
        ledger: address of the ledger.

    Raises:
        CommandError: the checkpoint is not signed by a key that is trusted, or an event is not in
            it as it was read.
    """
    with client.ledger_channel(ledger) as channel:
        stub = AuditServiceStub(channel)
        keys = stub.ListSigningKeys(pb.ListSigningKeysRequest(parent=book)).keys
        latest = stub.GetLatestCheckpoint(pb.GetLatestCheckpointRequest(book=book)).checkpoint
        report, checkpoints = held_against(keys, trusted, book, [latest.note])
        if not report.holds:
            raise CommandError(str(report.findings[0].message), ExitCode.NOT_VERIFIED)
        size, root = checkpoints.size, checkpoints.roots[checkpoints.size]
        proofs: dict[int, Proof] = {}
        for position in sorted(set(positions)):
            if position > size:
                continue
            answer = stub.GetInclusionProof(
                pb.GetInclusionProofRequest(book=book, position=position, size=size)
            )
            proof = Proof(leaf_hashes[position], position - 1, tuple(answer.hashes))
            try:
                check_inclusion(proof.leaf_hash, proof.index, size, proof.path, root)
            except ProofError as error:
                raise CommandError(
                    f"position {position}: the event is not the one that was sealed: {error}",
                    ExitCode.NOT_VERIFIED,
                ) from error
            proofs[position] = proof
    return Proofs(latest.note, size, proofs)
