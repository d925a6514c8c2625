"""Builders of events: keyword arguments become fields of the fact."""

from __future__ import annotations

import datetime as dt
from typing import Any

from gigaledger.common.quantities import date_to_message, money_to_message
from gigaledger.v1.common_pb2 import AssertionStatus
from gigaledger.v1.events_pb2 import Event
from google.protobuf.json_format import ParseDict

START = dt.date(2026, 1, 5)
"""The day on which most test facts take effect."""


def money(amount_minor: int, currency: str = "USD") -> dict[str, Any]:
    """An amount in minor units as a field of a fact."""
    message = money_to_message(amount_minor, currency)
    return {
        "currency_code": message.currency_code,
        "units": str(message.units),
        "nanos": message.nanos,
    }


def day(date: dt.date) -> dict[str, int]:
    """A day as a field of a fact."""
    return {"year": date.year, "month": date.month, "day": date.day}


def number(text: str) -> dict[str, str]:
    """A decimal number as a field of a fact."""
    return {"value": text}


def fact(
    kind: str,
    *,
    on: dt.date = START,
    status: AssertionStatus.ValueType = AssertionStatus.ASSERTION_STATUS_FACT,
    actor: str = "alice",
    approver: str = "",
    **fields: Any,
) -> Event:
    """An event with the given fact."""
    event = Event(
        effective_date=date_to_message(on),
        assertion_status=status,
        actor=actor,
        approver=approver,
    )
    ParseDict({kind: fields}, event)
    return event


def parties(*names: str) -> list[Event]:
    """Registrations of parties."""
    return [fact("party_registered", party=name, legal_name=f"{name} Inc.") for name in names]


def terms(**changes: Any) -> dict[str, Any]:
    """Terms of an agreement: SUP invests USD 3,000.00 in CUS in three steps, one for each GW."""
    standard = {
        "type": "AGREEMENT_TYPE_EQUITY_PURCHASE",
        "parties": [
            {"role": "ROLE_INVESTOR", "party": "SUP"},
            {"role": "ROLE_ISSUER", "party": "CUS"},
            {"role": "ROLE_SUPPLIER", "party": "SUP"},
            {"role": "ROLE_BUYER", "party": "CUS"},
        ],
        "binding": True,
        "investment_commitment": money(300_000),
        "power_kw": 3_000_000,
        "power_basis": "POWER_BASIS_IT_CRITICAL_LOAD",
        "tranches": [
            {
                "number": number_,
                "amount": money(100_000),
                "conditions": [
                    {"type": "CONDITION_TYPE_CAPACITY_CERTIFIED", "power_kw": number_ * 1_000_000}
                ],
            }
            for number_ in (1, 2, 3)
        ],
    }
    return standard | changes


def definitive(**changes: Any) -> Event:
    """The definitive agreement AGR."""
    return fact("definitive_agreement_executed", agreement="AGR", terms=terms(**changes))


def letter_of_intent() -> Event:
    """The letter of intent AGR."""
    intended = terms(type="AGREEMENT_TYPE_LETTER_OF_INTENT", binding=False)
    return fact("letter_of_intent_signed", agreement="AGR", terms=intended)


def claimed(power_kw: int = 1_000_000, **fields: Any) -> Event:
    """A claim of milestone M1."""
    return fact(
        "capacity_milestone_claimed",
        **{
            "agreement": "AGR",
            "milestone": "M1",
            "power_kw": power_kw,
            "power_basis": "POWER_BASIS_IT_CRITICAL_LOAD",
            **fields,
        },
    )


def certified(power_kw: int = 1_000_000, certificate: str = "CERT-1", **fields: Any) -> Event:
    """A certification of milestone M1."""
    return fact(
        "capacity_milestone_certified",
        **{
            "agreement": "AGR",
            "milestone": "M1",
            "certificate": certificate,
            "power_kw": power_kw,
            "power_basis": "POWER_BASIS_IT_CRITICAL_LOAD",
            **fields,
        },
    )


def called(amount_minor: int = 100_000, call: str = "CALL-1", **fields: Any) -> Event:
    """A capital call for tranche 1."""
    return fact(
        "capital_call_issued",
        **{
            "agreement": "AGR",
            "call": call,
            "tranches": [1],
            "amount": money(amount_minor),
            **fields,
        },
    )


def funded(amount_minor: int = 100_000, contribution: str = "FUND-1", **fields: Any) -> Event:
    """A capital contribution from SUP to CUS."""
    return fact(
        "capital_contribution_funded",
        **{
            "agreement": "AGR",
            "contribution": contribution,
            "payer": "SUP",
            "payee": "CUS",
            "amount": money(amount_minor),
            **fields,
        },
    )


def issued(
    shares: str = "200",
    security: str = "SEC-1",
    *,
    amount: dict[str, Any] | None = None,
    **fields: Any,
) -> Event:
    """An issuance of shares at USD 5.00."""
    return fact(
        "equity_shares_issued",
        **{
            "agreement": "AGR",
            "security": security,
            "share_class": "COMMON",
            "shares": number(shares),
            "price_per_share": number("5.00"),
            "amount": amount or money(int(shares) * 500),
            **fields,
        },
    )


def authorised(shares: str, **fields: Any) -> Event:
    """Shares of class COMMON of CUS are authorised."""
    return fact(
        "share_class_authorised",
        **{
            "issuer": "CUS",
            "share_class": "COMMON",
            "authorised_shares": number(shares),
            **fields,
        },
    )


def placed(quantity: int = 100, **fields: Any) -> Event:
    """PO-1: CUS orders one line from SUP at USD 10.00 a unit."""
    return fact(
        "purchase_order_placed",
        **{
            "purchase_order": "PO-1",
            "buyer": "CUS",
            "supplier": "SUP",
            "contract_kind": "CONTRACT_KIND_CHIP_PO",
            "lines": [{"line": 1, "sku": "R", "quantity": quantity, "unit_price": money(1_000)}],
            **fields,
        },
    )


def received(quantity: int, **fields: Any) -> Event:
    """Goods of PO-1 arrive."""
    return fact(
        "goods_received", **{"purchase_order": "PO-1", "line": 1, "quantity": quantity, **fields}
    )


def cancelled(quantity: int, amount: dict[str, Any] | None = None) -> Event:
    """Units of PO-1 are cancelled."""
    return fact(
        "purchase_order_cancelled", purchase_order="PO-1", line=1, quantity=quantity, amount=amount
    )


def invoiced(amount_minor: int = 50_000, invoice: str = "INV-1", **fields: Any) -> Event:
    """An invoice on PO-1."""
    return fact(
        "invoice_issued",
        **{
            "purchase_order": "PO-1",
            "invoice": invoice,
            "amount": money(amount_minor),
            **fields,
        },
    )


def invoice_line(
    line: int, quantity: int, unit_price: str, amount_minor: int, **fields: Any
) -> dict[str, Any]:
    """A line of an invoice for the line of the order with the same number."""
    return {
        "line": line,
        "order_line": line,
        "quantity": quantity,
        "unit_price": number(unit_price),
        "amount": money(amount_minor),
        **fields,
    }


def tax(
    taxable_minor: int, tax_minor: int, percent: str = "", *, recoverable: bool = True
) -> dict[str, Any]:
    """Tax of one rate."""
    return {
        "taxable_amount": money(taxable_minor),
        "tax_amount": money(tax_minor),
        "recoverable": recoverable,
        **({"percent": number(percent)} if percent else {}),
    }


def allowance(amount_minor: int, *, charge: bool = False) -> dict[str, Any]:
    """An allowance of a document, or a charge."""
    return {"charge": charge, "amount": money(amount_minor)}


def credited(amount_minor: int, credit_note: str = "CN-1", **fields: Any) -> Event:
    """A credit note on INV-1."""
    return fact(
        "credit_note_issued",
        **{
            "purchase_order": "PO-1",
            "invoice": "INV-1",
            "credit_note": credit_note,
            "amount": money(amount_minor),
            **fields,
        },
    )


def paid(amount_minor: int = 50_000, payment: str = "PAY-1", **fields: Any) -> Event:
    """A payment from CUS to SUP for INV-1."""
    return fact(
        "supplier_payment_settled",
        **{
            "purchase_order": "PO-1",
            "payment": payment,
            "invoice": "INV-1",
            "payer": "CUS",
            "payee": "SUP",
            "amount": money(amount_minor),
            **fields,
        },
    )


def refunded(amount_minor: int, refund: str = "REF-1", **fields: Any) -> Event:
    """A refund of PAY-1 from SUP to CUS."""
    return fact(
        "supplier_refund_settled",
        **{
            "purchase_order": "PO-1",
            "refund": refund,
            "payment": "PAY-1",
            "payer": "SUP",
            "payee": "CUS",
            "amount": money(amount_minor),
            **fields,
        },
    )


def reversed_entry(position: int, on: dt.date = START, **fields: Any) -> Event:
    """A reversal of an entry."""
    return fact("entry_reversed", on=on, position=position, reason_code="ERROR", **fields)
