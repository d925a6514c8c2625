"""What parts of an invoice or a credit note mean. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from gigaledger.common.quantities import money_from_message
from gigaledger.v1.procurement_facts_pb2 import TaxSubtotal


def recoverable_tax_minor(taxes: Iterable[TaxSubtotal]) -> int:
    """Return the taxes that the buyer gets back from the state, in minor units.

    They are owed to the supplier, and are no part of the cost (IAS 2, paragraph 11).
    """
    return sum(money_from_message(tax.tax_amount).amount_minor for tax in taxes if tax.recoverable)
