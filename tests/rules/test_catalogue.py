"""The catalogue of facts and the contract list the same facts."""

from __future__ import annotations

from gigaledger.ledger.domain.catalogue import FACT_TYPES, REVERSAL
from gigaledger.v1.events_pb2 import Event


def test_every_fact_of_the_contract_is_in_the_catalogue() -> None:
    facts = {field.name for field in Event.DESCRIPTOR.oneofs_by_name["fact"].fields}

    assert facts == {*FACT_TYPES, REVERSAL}
