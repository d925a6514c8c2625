"""What two parties did with each other, in words. Pure."""

from __future__ import annotations

from gigaledger.v1.projections_pb2 import MoneyFigure, RoundTripPair


def describe_pair(pair: RoundTripPair) -> str:
    """Return who supplies and invests in whom, and the currency.

    It says what is recorded: a party that only supplies is no investor.
    """
    one, other = pair.supplier_investor, pair.customer_investee
    supplies = any(map(_counts, (pair.ordered, pair.received, pair.invoiced, pair.paid)))
    invests = _counts(pair.invested_non_cash) or any(
        _counts(balance.investment) for balance in pair.balances
    )
    if supplies and invests:
        text = f"{one} supplies and invests, {other} buys and is invested in"
    elif supplies:
        text = f"{one} supplies {other}"
    elif invests:
        text = f"{one} invests in {other}"
    else:
        text = f"{one} and {other}"
    return f"{text}; {pair.currency_code}"


def _counts(figure: MoneyFigure) -> bool:
    return bool(figure.undisclosed_count or figure.amount.units or figure.amount.nanos)
