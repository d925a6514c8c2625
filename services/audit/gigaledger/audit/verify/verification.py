"""Verification of a history: every leaf, every root, the order of everything. Pure.

Every fault becomes a finding with its position, and verification continues, so that all faults are
named.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gigaledger.common.transparency.checkpoints import Checkpoint, parse_checkpoint
from gigaledger.common.transparency.keys import SUCCESSION
from gigaledger.common.transparency.merkle import HASH_BYTES, Frontier, leaf_hash
from gigaledger.common.transparency.notes import NoteError, Verifier, open_note
from gigaledger.v1.audit_pb2 import Checkpoint as ListedCheckpoint
from gigaledger.v1.audit_pb2 import SigningKey
from gigaledger.v1.events_pb2 import RecordedEvent
from google.protobuf.message import DecodeError

MAX_EXPLAINED = 1_000_000
"""Events whose hashes are kept until the next checkpoint, to name those that were altered."""


class Kind(StrEnum):
    """Kinds of findings."""

    UNREADABLE = "unreadable"
    """The bytes of an event are not those of one."""
    POSITION = "position"
    """An event is missing, duplicated, or out of place."""
    VERSION = "version"
    """The versions of a stream do not follow one another."""
    TIME = "time"
    """An event was recorded before the one before it."""
    ALTERED = "altered"
    """An event is not the one that was sealed."""
    ROOT = "root"
    """The events up to a checkpoint are not those that it was signed for."""
    TRUNCATED = "truncated"
    """There are fewer events than were signed."""
    UNSEALED = "unsealed"
    """There are events that no checkpoint covers."""
    FORK = "fork"
    """Two checkpoints of one size differ, or one names another book."""
    SIGNATURE = "signature"
    """A checkpoint is not signed by a key that is trusted."""
    KEY = "key"
    """A key follows another without a statement of that one."""
    READABLE = "readable"
    """The readable form of an event in a file differs from its bytes."""
    FILTER = "filter"
    """A filtered query does not return the events that match by their bytes."""
    FIGURE = "figure"
    """A published figure differs from the facts."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault.

    Attributes:
        position: its position; for a range, the last one.
        kind: its kind.
        message: details for people.
    """

    position: int
    kind: Kind
    message: str


def trusted_keys(
    keys: Sequence[SigningKey], trusted: Sequence[Verifier]
) -> tuple[list[Verifier], list[Finding]]:
    """Follow the statements by which keys vouch for their successors, from a trusted key on.

    Args:
        keys: the keys of a book, in the order in which they signed.
        trusted: the keys that the auditor holds, at least one. The first that signs is followed.

    Returns:
        The keys that are thereby trusted, and the findings.
    """
    names = [key.verifier_key for key in keys]
    known = [key for key in trusted if str(key) in names]
    if not known:
        held = ", ".join(map(str, trusted))
        message = f"the book is signed by {', '.join(names) or 'nobody'}, not by {held}"
        return list(trusted[:1]), [Finding(0, Kind.KEY, message)]
    found = [min(known, key=lambda key: names.index(str(key)))]
    for key in keys[names.index(str(found[0])) + 1 :]:
        stated = f"{SUCCESSION}\n{key.verifier_key}\n{key.from_size}\n"
        try:
            note = open_note(key.succession, [found[-1]])
            follower = Verifier.parse(key.verifier_key)
        except NoteError as error:
            message = f"the statement that {key.verifier_key} follows {found[-1]}: {error}"
            return found, [Finding(key.from_size, Kind.KEY, message)]
        if note.text != stated or not note.signed_by:
            message = f"{found[-1]} has not stated that {key.verifier_key} follows it"
            return found, [Finding(key.from_size, Kind.KEY, message)]
        found.append(follower)
    return found, []


class Checkpoints:
    """The checkpoints that a history must match.

    Attributes:
        roots: roots by size.
        findings: faults of the checkpoints themselves.
        origin: origin of the book.
        imported: whether the recorded times of the book came with its facts.
    """

    def __init__(self, keys: Sequence[Verifier]) -> None:
        """Take checkpoints that one of these keys has signed."""
        self.roots: dict[int, bytes] = {}
        self.findings: list[Finding] = []
        self.origin = keys[0].name
        self.imported: bool | None = None
        self._keys = keys
        self._first_sizes: dict[str, int] = {}

    @property
    def size(self) -> int:
        """That of the largest."""
        return max(self.roots, default=0)

    def add_in_order(self, note: str) -> None:
        """Add the next checkpoint of the book, which is larger than those before it."""
        before, faults = self.size, len(self.findings)
        self.add(note)
        if before and self.size == before and len(self.findings) == faults:
            message = f"a checkpoint comes after that of {before} events and is not larger"
            self.findings.append(Finding(before, Kind.FORK, message))

    def add(self, note: str) -> None:
        """Add a checkpoint, or a finding about it."""
        try:
            opened = open_note(note, self._keys)
            checkpoint = parse_checkpoint(opened.text)
        except NoteError as error:
            self.findings.append(Finding(0, Kind.SIGNATURE, str(error)))
            return
        size = checkpoint.size
        if not opened.signed_by:
            message = f"the checkpoint of {size} events is not signed by a key that is trusted"
            self.findings.append(Finding(size, Kind.SIGNATURE, message))
        elif checkpoint.origin != self.origin:
            message = f"the checkpoint of {size} events is of {checkpoint.origin}, another book"
            self.findings.append(Finding(size, Kind.FORK, message))
        elif self.roots.setdefault(size, checkpoint.root) != checkpoint.root:
            message = f"there are two checkpoints of {size} events with different roots"
            self.findings.append(Finding(size, Kind.FORK, message))
        else:
            self._check_clock(checkpoint)
            for signer in map(str, opened.signed_by):
                self._first_sizes[signer] = min(size, self._first_sizes.get(signer, size))

    def key_findings(self, keys: Iterable[SigningKey]) -> Iterator[Finding]:
        """Yield keys whose first checkpoint is not of the size that is stated for them.

        Only meaningful once all checkpoints of the book are added.
        """
        keys = list(keys)
        for key in keys[:1]:
            if key.succession:
                message = f"{key.verifier_key} is said to follow another key, and is the first"
                yield Finding(key.from_size, Kind.KEY, message)
        for key in keys:
            first = self._first_sizes.get(key.verifier_key)
            if first != key.from_size:
                signs = "none" if first is None else f"the first of {first} events"
                message = (
                    f"{key.verifier_key} is said to sign checkpoints from {key.from_size} events"
                    f" on, but signs {signs}"
                )
                yield Finding(key.from_size, Kind.KEY, message)

    def _check_clock(self, checkpoint: Checkpoint) -> None:
        if self.imported not in (None, checkpoint.imported):
            message = (
                f"the checkpoint of {checkpoint.size} events differs in whose clock it runs on"
            )
            self.findings.append(Finding(checkpoint.size, Kind.FORK, message))
        self.imported = checkpoint.imported


def listing_findings(listed: Iterable[ListedCheckpoint]) -> Iterator[Finding]:
    """Yield checkpoints that are listed under another size, or before which one is missing.

    Args:
        listed: all checkpoints of a book, as the ledger lists them.
    """
    before = 0
    for one in listed:
        try:
            size = parse_checkpoint(open_note(one.note, ()).text).size
        except NoteError:
            # A finding of its own, because no key has signed it.
            size = one.size
        if size != one.size:
            message = f"the checkpoint of {size} events is listed as one of {one.size}"
            yield Finding(size, Kind.SIGNATURE, message)
        elif one.previous_size != before:
            message = (
                f"the checkpoint of {size} events follows one of {one.previous_size}, and the one"
                f" listed before it is of {before}"
            )
            yield Finding(size, Kind.TRUNCATED, message)
        before = size


class Verification:
    """Verifies the events of a history one after another.

    Attributes:
        count: the number of events seen.
    """

    def __init__(self, roots: Mapping[int, bytes]) -> None:
        """Hold a history against the roots of checkpoints, by size."""
        self.count = 0
        self._roots = dict(sorted(roots.items()))
        self._position = 0
        self._versions: dict[str, int] = {}
        self._time = (0, 0)
        self._frontier = Frontier()
        self._good = Frontier()
        self._since_good = bytearray()
        self._unexplained: dict[int, tuple[Frontier, bytes]] = {}

    def add(self, leaf: bytes) -> Iterator[Finding]:
        """Add the bytes of the next event; yield findings about it."""
        self.count += 1
        try:
            recorded = RecordedEvent.FromString(leaf)
        except DecodeError:
            self._position += 1
            yield Finding(self._position, Kind.UNREADABLE, "the bytes are not those of an event")
        else:
            yield from self._order(recorded)
        hashed = leaf_hash(leaf)
        for _ in self._frontier.append(hashed):
            pass
        if len(self._since_good) < MAX_EXPLAINED * HASH_BYTES:
            self._since_good += hashed
        root = self._roots.get(self.count)
        if root is not None:
            yield from self._at_checkpoint(root)

    def _order(self, recorded: RecordedEvent) -> Iterator[Finding]:
        position, expected = recorded.position, self._position + 1
        self._position = position
        if position != expected:
            if position > expected:
                one = position - 1 == expected
                which = (
                    f"event {expected} is" if one else f"events {expected} to {position - 1} are"
                )
                message = f"the {which} missing: {position} comes next"
            else:
                message = f"the event at {position} is in the place of {expected}"
            yield Finding(expected, Kind.POSITION, message)
        stream, version = recorded.stream, recorded.stream_version
        following = self._versions.get(stream, 0) + 1
        self._versions[stream] = version
        if version != following:
            message = f"{stream} is at version {version}; {following} should come next"
            yield Finding(position, Kind.VERSION, message)
        time = (recorded.recorded_time.seconds, recorded.recorded_time.nanos)
        if time < self._time:
            message = f"it was recorded before the event at {position - 1}"
            yield Finding(position, Kind.TIME, message)
        self._time = max(time, self._time)

    def _at_checkpoint(self, root: bytes) -> Iterator[Finding]:
        """Compare with a checkpoint, and keep what a later explanation needs."""
        if self._frontier.root() == root:
            self._good = self._frontier.copy()
            self._since_good.clear()
            return
        if not self._unexplained:
            self._unexplained[self.count] = (self._good.copy(), bytes(self._since_good))
            message = (
                f"the events from {self._good.size + 1} to {self.count} are not those that were"
                f" signed"
            )
            yield Finding(self.count, Kind.ROOT, message)

    @property
    def proven(self) -> int:
        """Number of events up to the last checkpoint that they match."""
        return self._good.size

    @property
    def first_wrong_size(self) -> int | None:
        """Size of the first checkpoint that the events do not match; None if all match."""
        return next(iter(self._unexplained), None)

    def explain(self, first_position: int, hashes: bytes) -> Iterator[Finding]:
        """Yield the altered events, by the hashes sealed with a checkpoint.

        Args:
            first_position: position of the first hash.
            hashes: the hashes that the first mismatched checkpoint adds to the one before it. They
                are trusted only if they lead to the signed root.
        """
        ((size, (good, own)),) = self._unexplained.items()
        good = good.copy()
        if first_position != good.size + 1 or len(hashes) != len(own):
            return
        sealed = _hashes(hashes)
        good.extend(sealed)
        if good.root() != self._roots[size]:
            return
        for offset, (ours, theirs) in enumerate(zip(_hashes(own), sealed, strict=True)):
            if ours != theirs:
                position = first_position + offset
                message = f"event {position} of the log is not the one that was sealed"
                yield Finding(position, Kind.ALTERED, message)

    def finish(self, *, allow_unsealed: bool = False) -> Iterable[Finding]:
        """Yield what is missing at the end, and what no checkpoint covers.

        Args:
            allow_unsealed: accept events beyond the last checkpoint.
        """
        signed = max(self._roots, default=0)
        if self.count < signed:
            message = f"{signed} events were signed, but there are only {self.count}"
            yield Finding(self.count + 1, Kind.TRUNCATED, message)
        elif self.count > signed and not allow_unsealed:
            which = f"events {signed + 1} to {self.count} are"
            if self.count == signed + 1:
                which = f"event {self.count} is"
            message = f"{which} beyond the last checkpoint: no signature covers what they say"
            yield Finding(self.count, Kind.UNSEALED, message)


def _hashes(joined: bytes) -> list[bytes]:
    return [joined[at : at + HASH_BYTES] for at in range(0, len(joined), HASH_BYTES)]
