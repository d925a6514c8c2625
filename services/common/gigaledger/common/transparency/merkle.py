"""The Merkle tree of a log, as defined by RFC 6962 and RFC 9162 (section 2.1).

A complete subtree of 2^level leaves is identified by its level and its index at that level: (0, 5)
is the sixth leaf, (3, 1) the second subtree of eight leaves. The root of a complete subtree never
changes. Therefore these roots are stored, and all proofs are built from them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256().digest()
"""Root hash of a tree without leaves."""

Read = Callable[[int, int], bytes]
"""Returns the root of the complete subtree with a level and an index."""


class ProofError(ValueError):
    """A proof is not valid. The message says why."""


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf (RFC 6962, section 2.1)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node with two children (RFC 6962, section 2.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a growing tree: roots of its largest complete subtrees, from the left.

    Attributes:
        size: number of leaves.
    """

    def __init__(self, size: int = 0, roots: Sequence[bytes] = ()) -> None:
        """Start from a size, with the roots of the subtrees that `frontier_nodes` lists.

        Raises:
            ValueError: the number of roots does not match the size.
        """
        if len(roots) != size.bit_count():
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} complete subtrees")
        self.size = size
        self._roots = list(roots)

    def append(self, leaf: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Append a leaf hash; yield level, index and root of each subtree that it completes."""
        level, index, root = 0, self.size, leaf
        yield level, index, root
        while index & 1:
            level, index, root = level + 1, index >> 1, node_hash(self._roots.pop(), root)
            yield level, index, root
        self._roots.append(root)
        self.size += 1

    def extend(self, leaves: Sequence[bytes]) -> list[tuple[int, int, bytes]]:
        """Append leaf hashes; return the subtrees that they complete."""
        return [node for leaf in leaves for node in self.append(leaf)]

    def copy(self) -> Frontier:
        """Return an independent copy."""
        return Frontier(self.size, self._roots)

    def root(self) -> bytes:
        """Return the root of the tree."""
        if not self._roots:
            return EMPTY_ROOT
        *others, root = self._roots
        for left in reversed(others):
            root = node_hash(left, root)
        return root


def frontier_nodes(size: int) -> list[tuple[int, int]]:
    """Return the largest complete subtrees of a tree, from the left: level and index of each."""
    return list(_complete(0, size))


def _complete(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the largest complete subtrees that cover the leaves from start to before end."""
    while start < end:
        level = (end - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        yield level, start >> level
        start += 1 << level


def _root_of(read: Read, start: int, end: int) -> bytes:
    """Return the root over a range of leaves, whose start is aligned to its size."""
    *others, root = [read(level, index) for level, index in _complete(start, end)]
    for left in reversed(others):
        root = node_hash(left, root)
    return root


def _split(size: int) -> int:
    """Return the largest power of two below a size, where RFC 6962 splits a tree."""
    return 1 << (size - 1).bit_length() - 1


def inclusion_proof(read: Read, index: int, size: int) -> list[bytes]:
    """Return the proof that a leaf is in a tree (RFC 6962, section 2.1.1).

    Args:
        read: returns roots of complete subtrees.
        index: index of the leaf, from 0.
        size: size of the tree.

    Raises:
        ValueError: there is no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    proof: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(_root_of(read, middle, end))
            end = middle
        else:
            proof.append(_root_of(read, start, middle))
            start = middle
    return proof[::-1]


def consistency_proof(read: Read, first: int, second: int) -> list[bytes]:
    """Return the proof that a tree is a prefix of another (RFC 6962, section 2.1.2).

    Args:
        read: returns roots of complete subtrees.
        first: size of the smaller tree; a proof from 0 is empty.
        second: size of the larger tree.

    Raises:
        ValueError: the first is larger than the second.
    """
    if not 0 <= first <= second:
        raise ValueError(f"a tree of {first} leaves is not a prefix of one of {second}")
    if first in (0, second):
        return []
    proof: list[bytes] = []
    start, end, whole = 0, second, True
    while first != end:
        middle = start + _split(end - start)
        if first <= middle:
            proof.append(_root_of(read, middle, end))
            end = middle
        else:
            proof.append(_root_of(read, start, middle))
            start, whole = middle, False
    if not whole:
        proof.append(_root_of(read, start, end))
    return proof[::-1]


def check_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Check the proof that a leaf is in a tree (RFC 9162, section 2.1.3.2).

    Args:
        leaf: hash of the leaf.
        index: index of the leaf, from 0.
        size: size of the tree.
        proof: the proof.
        root: root of the tree.

    Raises:
        ProofError: the proof is not valid.
    """
    if not 0 <= index < size:
        raise ProofError(f"a tree of {size} leaves has no leaf {index}")
    _check_lengths([leaf, *proof])
    found = leaf
    for on_the_left, sibling in _steps(index, size - 1, proof):
        found = node_hash(sibling, found) if on_the_left else node_hash(found, sibling)
    if found != root:
        raise ProofError("the proof yields another root")


def check_consistency(
    first: int, second: int, proof: Sequence[bytes], first_root: bytes, second_root: bytes
) -> None:
    """Check the proof that a tree is a prefix of another (RFC 9162, section 2.1.4.2).

    Args:
        first: size of the smaller tree.
        second: size of the larger tree.
        proof: the proof.
        first_root: root of the smaller tree.
        second_root: root of the larger one.

    Raises:
        ProofError: the proof is not valid.
    """
    if not 0 <= first <= second:
        raise ProofError(f"a tree of {first} leaves is not a prefix of one of {second}")
    if first in (0, second):
        if proof:
            raise ProofError("the proof must be empty")
        if first_root != (EMPTY_ROOT if first == 0 else second_root):
            raise ProofError("the root of the smaller tree differs")
        return
    _check_lengths(proof)
    nodes = [first_root, *proof] if first.bit_count() == 1 else list(proof)
    if not nodes:
        raise ProofError("the proof is empty")
    at, last = first - 1, second - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = nodes[0]
    for on_the_left, sibling in _steps(at, last, nodes[1:]):
        if on_the_left:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
        else:
            new = node_hash(new, sibling)
    if old != first_root:
        raise ProofError("the proof yields another root of the smaller tree")
    if new != second_root:
        raise ProofError("the proof yields another root of the larger tree")


def _check_lengths(hashes: Sequence[bytes]) -> None:
    """Check the lengths of hashes: a byte moved between siblings does not change their parent.

    Raises:
        ProofError: a hash has another length.
    """
    for one in hashes:
        if len(one) != HASH_BYTES:
            raise ProofError(f"the proof contains a hash of {len(one)} bytes")


def _steps(at: int, last: int, proof: Sequence[bytes]) -> Iterator[tuple[bool, bytes]]:
    """Yield the siblings on the way to the root, and whether each is on the left.

    Args:
        at: index of the first node at its level.
        last: index of the last node at that level.
        proof: the hashes.

    Raises:
        ProofError: more or fewer hashes than there are levels.
    """
    for sibling in proof:
        if last == 0:
            raise ProofError("the proof is too long")
        on_the_left = bool(at & 1) or at == last
        yield on_the_left, sibling
        if on_the_left:
            # The last node of a level may have no sibling: it then moves up unchanged.
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        at, last = at >> 1, last >> 1
    if last:
        raise ProofError("the proof is too short")
