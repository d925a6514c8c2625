"""Books in memory, sealed: what an auditor is given, without a ledger."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from gigaledger.audit.verify.verification import Checkpoints, Finding, Verification, trusted_keys
from gigaledger.common.quantities import instant_to_message
from gigaledger.common.transparency.checkpoints import Checkpoint, origin_of
from gigaledger.common.transparency.merkle import Frontier, leaf_hash
from gigaledger.common.transparency.notes import Signer, Verifier
from gigaledger.v1.audit_pb2 import SigningKey
from gigaledger.v1.events_pb2 import RecordedEvent

from tests.facts import invoiced, paid, parties, placed, received

KEY = Signer(origin_of("ledger.test", "main"), bytes(range(32)))
STARTED = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)


def recorded(count: int, seed: int = 0) -> list[RecordedEvent]:
    """The log of a book with so many events, in several streams."""
    facts = [*parties("SUP", "CUS"), placed()]
    number = 0
    while len(facts) < count:
        number += 1
        facts += [received(1), invoiced(1, f"I-{number}"), paid(1, f"P-{number}")]
    streams = ["parties/SUP", "parties/CUS", *["purchaseOrders/PO-1"] * (count - 2)]
    versions: dict[str, int] = {}
    events = []
    for position, (stream, fact) in enumerate(zip(streams, facts, strict=False), 1):
        versions[stream] = versions.get(stream, 0) + 1
        event_id = UUID(int=(seed << 64) + position)
        at = STARTED + dt.timedelta(seconds=position)
        events.append(
            RecordedEvent(
                position=position,
                stream=stream,
                stream_version=versions[stream],
                event_id=str(event_id),
                recorded_time=instant_to_message(at),
                event=fact,
            )
        )
    return events


def leaves_of(events: Iterable[RecordedEvent]) -> list[bytes]:
    """The bytes of events, as a ledger sends them."""
    return [event.SerializeToString() for event in events]


@dataclass
class Sealed:
    """A book as an auditor gets it.

    Attributes:
        leaves: the bytes of its events.
        notes: its checkpoints.
        keys: the keys that signed them.
        hashes: by the size of a checkpoint, the position and the hashes that it adds.
    """

    leaves: list[bytes]
    notes: list[str] = field(default_factory=list)
    keys: list[SigningKey] = field(default_factory=list)
    hashes: dict[int, tuple[int, bytes]] = field(default_factory=dict)

    def findings(self, trusted: Verifier = KEY.verifier, kept: str = "") -> list[Finding]:
        """Verify it, as the command does."""
        keys, found = trusted_keys(self.keys, [trusted])
        checkpoints = Checkpoints(keys)
        for note in [*self.notes, *([kept] if kept else [])]:
            checkpoints.add(note)
        found += checkpoints.findings
        verification = Verification(checkpoints.roots)
        for leaf in self.leaves:
            found += verification.add(leaf)
        found += verification.finish()
        wrong = verification.first_wrong_size
        if wrong in self.hashes:
            found += verification.explain(*self.hashes[wrong])
        return found


def sealed(
    leaves: Sequence[bytes], sizes: Iterable[int], signer: Signer = KEY, *extensions: str
) -> Sealed:
    """Seal a book at sizes, as a ledger does."""
    book = Sealed(list(leaves), keys=[SigningKey(verifier_key=str(signer.verifier), from_size=1)])
    frontier = Frontier()
    for size in sorted({*sizes, len(leaves)}):
        first = frontier.size + 1
        hashes = [leaf_hash(leaf) for leaf in leaves[first - 1 : size]]
        frontier.extend(hashes)
        checkpoint = Checkpoint(signer.name, size, frontier.root(), extensions)
        book.notes.append(checkpoint.signed(signer))
        book.hashes[size] = (first, b"".join(hashes))
    return book
