"""The Merkle tree and its proofs, against RFC 6962 and published test vectors."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import pytest
from gigaledger.common.transparency.merkle import (
    EMPTY_ROOT,
    Frontier,
    ProofError,
    check_consistency,
    check_inclusion,
    consistency_proof,
    frontier_nodes,
    inclusion_proof,
    leaf_hash,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.hypothesis_profiles import examples

EXHAUSTIVE = 40
CERTIFICATE_TRANSPARENCY = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]
"""Leaves of the tests of RFC 6962's reference implementation."""
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""Roots of the first one, two, ... leaves."""


def definition(leaves: Sequence[bytes]) -> bytes:
    """Compute the MTH of RFC 6962, section 2.1, by its definition."""
    if not leaves:
        return sha256().digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return sha256(b"\x01" + definition(leaves[:k]) + definition(leaves[k:])).digest()


class Tree:
    """A tree with its leaves and nodes, and its root at every size."""

    def __init__(self, size: int) -> None:
        self.data = [b"leaf %d" % number for number in range(size)]
        self.leaves = [leaf_hash(data) for data in self.data]
        self.nodes: dict[tuple[int, int], bytes] = {}
        self.roots = [EMPTY_ROOT]
        frontier = Frontier()
        for leaf in self.leaves:
            for level, index, root in frontier.append(leaf):
                assert (level, index) not in self.nodes
                self.nodes[level, index] = root
            self.roots.append(frontier.root())

    def read(self, level: int, index: int) -> bytes:
        return self.nodes[level, index]

    def inclusion(self, index: int, size: int) -> list[bytes]:
        return inclusion_proof(self.read, index, size)

    def consistency(self, first: int, second: int) -> list[bytes]:
        return consistency_proof(self.read, first, second)


TREE = Tree(1100)


def changed(data: bytes, bit: int) -> bytes:
    """Return bytes with one bit flipped."""
    return bytes(byte ^ (1 << bit % 8 if at == bit // 8 else 0) for at, byte in enumerate(data))


def test_roots_of_certificate_transparency() -> None:
    frontier = Frontier()
    for data, root in zip(CERTIFICATE_TRANSPARENCY, ROOTS, strict=True):
        frontier.extend([leaf_hash(bytes.fromhex(data))])
        assert frontier.root().hex() == root
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@given(st.integers(0, len(TREE.data)))
def test_the_root_is_that_of_the_definition(size: int) -> None:
    assert TREE.roots[size] == definition(TREE.data[:size])


@given(st.integers(0, 1000), st.integers(0, 100))
def test_a_frontier_continues_from_stored_roots(size: int, more: int) -> None:
    nodes = frontier_nodes(size)
    frontier = Frontier(size, [TREE.read(level, index) for level, index in nodes])

    assert sum(1 << level for level, _ in nodes) == size
    assert frontier.root() == TREE.roots[size]
    frontier.extend(TREE.leaves[size : size + more])
    assert frontier.root() == TREE.roots[size + more]


@pytest.mark.parametrize("size", range(1, EXHAUSTIVE))
def test_every_proof_is_accepted(size: int) -> None:
    for index in range(size):
        proof = TREE.inclusion(index, size)
        check_inclusion(TREE.leaves[index], index, size, proof, TREE.roots[size])
    for first in range(size + 1):
        proof = TREE.consistency(first, size)
        check_consistency(first, size, proof, TREE.roots[first], TREE.roots[size])


@pytest.mark.parametrize("size", range(1, EXHAUSTIVE, 3))
def test_no_proof_is_valid_for_another_index(size: int) -> None:
    for index in range(size):
        proof = TREE.inclusion(index, size)
        for other in range(size):
            if other != index:
                with pytest.raises(ProofError):
                    check_inclusion(TREE.leaves[index], other, size, proof, TREE.roots[size])


SIZES = st.integers(1, 1100)


@settings(max_examples=examples(100))
@given(SIZES, st.data())
def test_an_altered_inclusion_proof_is_refused(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    leaf, root, proof = TREE.leaves[index], TREE.roots[size], TREE.inclusion(index, size)
    for altered in alterations(data, [leaf, root, *proof]):
        with pytest.raises(ProofError):
            check_inclusion(altered[0], index, size, altered[2:], altered[1])
    for wrong in wrong_lengths(data, proof):
        with pytest.raises(ProofError):
            check_inclusion(leaf, index, size, wrong, root)


@settings(max_examples=examples(100))
@given(st.integers(2, 1100), st.data())
def test_an_altered_consistency_proof_is_refused(second: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(1, second - 1))
    roots, proof = [TREE.roots[first], TREE.roots[second]], TREE.consistency(first, second)
    for altered in alterations(data, [*roots, *proof]):
        with pytest.raises(ProofError):
            check_consistency(first, second, altered[2:], altered[0], altered[1])
    for wrong in wrong_lengths(data, proof):
        with pytest.raises(ProofError):
            check_consistency(first, second, wrong, *roots)
    with pytest.raises(ProofError):
        check_consistency(first, second, proof, roots[1], roots[0])


def alterations(data: st.DataObject, hashes: list[bytes]) -> list[list[bytes]]:
    """Return copies of the hashes, each with a bit of one hash flipped."""
    bits = [data.draw(st.integers(0, 255)) for _ in hashes]
    return [
        [changed(h, bit) if at == altered else h for at, h in enumerate(hashes)]
        for altered, bit in enumerate(bits)
    ]


def wrong_lengths(data: st.DataObject, proof: list[bytes]) -> list[list[bytes]]:
    """Return the proof with an extra hash, and without each of its hashes."""
    place = data.draw(st.integers(0, len(proof)))
    longer = [*proof[:place], bytes(32), *proof[place:]]
    return [longer, *(proof[:at] + proof[at + 1 :] for at in range(len(proof)))]


def test_a_byte_moved_to_the_next_hash_is_refused() -> None:
    """The hash of two concatenated hashes does not depend on their lengths."""
    leaf, sibling = TREE.leaves[:2]
    with pytest.raises(ProofError, match="31 bytes"):
        check_inclusion(leaf[:-1], 0, 2, [leaf[-1:] + sibling], TREE.roots[2])
    with pytest.raises(ProofError, match="33 bytes"):
        check_inclusion(leaf + sibling[:1], 0, 2, [sibling[1:]], TREE.roots[2])


def test_trees_of_one_size_have_one_root() -> None:
    with pytest.raises(ProofError, match="root"):
        check_consistency(5, 5, [], TREE.roots[5], TREE.roots[6])
    with pytest.raises(ProofError, match="root"):
        check_consistency(0, 5, [], TREE.roots[1], TREE.roots[5])
    with pytest.raises(ProofError, match="must be empty"):
        check_consistency(0, 5, [bytes(32)], EMPTY_ROOT, TREE.roots[5])


@pytest.mark.parametrize(("index", "size"), [(-1, 5), (5, 5), (0, 0)])
def test_missing_leaves(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="has no leaf"):
        TREE.inclusion(index, size)
    with pytest.raises(ProofError, match="has no leaf"):
        check_inclusion(TREE.leaves[0], index, size, [], TREE.roots[size])


@pytest.mark.parametrize(("first", "second"), [(-1, 5), (6, 5)])
def test_sizes_that_are_no_prefix(first: int, second: int) -> None:
    with pytest.raises(ValueError, match="not a prefix"):
        TREE.consistency(first, second)
    with pytest.raises(ProofError, match="not a prefix"):
        check_consistency(first, second, [], EMPTY_ROOT, EMPTY_ROOT)


def test_a_frontier_needs_the_roots_of_its_size() -> None:
    with pytest.raises(ValueError, match="2 complete subtrees"):
        Frontier(5, [bytes(32)])
