"""Pairs are described by what they did."""

from __future__ import annotations

import pytest
from gigaledger.common.pairs import describe_pair
from gigaledger.v1.events_pb2 import Event

from tests.facts import START, definitive, funded, paid, parties, placed
from tests.projections.conftest import ReadModels
from tests.projections.test_round_trip import answer

BOTH = parties("SUP", "CUS")
CONTRIBUTION = [definitive(binding=False, investment_commitment=None, tranches=[]), funded(1)]


@pytest.mark.parametrize(
    ("facts", "description"),
    [
        ([placed()], "SUP supplies CUS; USD"),
        ([paid(invoice="", purchase_order="")], "SUP supplies CUS; USD"),
        (CONTRIBUTION, "SUP invests in CUS; USD"),
        (
            [placed(), *CONTRIBUTION],
            "SUP supplies and invests, CUS buys and is invested in; USD",
        ),
        ([placed(lines=[{"line": 1, "quantity": 1, "amount_undisclosed": True}])], ""),
    ],
)
async def test_a_pair_is_described_by_what_it_did(
    read_models: ReadModels, facts: list[Event], description: str
) -> None:
    found = (await answer(read_models, [*BOTH, *facts], as_of=START)).pairs

    assert [describe_pair(pair) for pair in found] == [description or "SUP supplies CUS; "]
