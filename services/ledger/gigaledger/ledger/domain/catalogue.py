"""The catalogue of facts: for each type its nature, its stream, and the rules that decide on it.

A new type of fact is a message in the contract, its rules in the module of its subject, and a row
here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from gigaledger.ledger.domain import (
    agreement,
    capacity,
    capital_calls,
    control,
    equity,
    party,
    procurement,
    reference_data,
    support,
    vehicle,
    warrant,
)
from gigaledger.ledger.domain.agreement_state import Agreement
from gigaledger.ledger.domain.book_view import bank_keys
from gigaledger.ledger.domain.entries import Entry
from gigaledger.ledger.domain.fact_type import FactType, Nature, cash_keys, key, within


def _in_control(_fact: Any) -> str:
    return CONTROL_STREAM


def _no_effect(_state: Any, _entry: Entry) -> None:
    """Fold a fact on which no later decision depends."""


def _supersedes(_state: Any, entry: Entry) -> Iterable[str]:
    return [f"agreements/{agreement}" for agreement in entry.fact.supersedes]


_in_agreement = within("agreements", "agreement")
_in_order = within("purchaseOrders", "purchase_order")
_in_party = within("parties", "party")
_in_exception = within("exceptions", "exception")
_in_warrant = within("warrants", "warrant")
_in_vehicle = within("vehicles", "vehicle")
_in_debt = within("debts", "debt")
_in_lease = within("leases", "lease")
_in_backstop = within("backstops", "backstop")
_in_guarantee = within("guarantees", "guarantee")

CONTROL_STREAM = "control"
REVERSAL = "entry_reversed"
"""The one fact whose stream is that of another: `book` decides on it."""

_O, _D = Nature.OBSERVATION, Nature.DECISION

FACT_TYPES: dict[str, FactType] = {
    "book_opened": FactType(_D, _in_control, control.apply_opened, own=True),
    "period_closed": FactType(_D, _in_control, control.apply_closed, control.decide_closed),
    "period_reopened": FactType(_D, _in_control, control.apply_reopened, control.decide_reopened),
    "policy_adopted": FactType(_D, _in_control, control.apply_policy, control.decide_policy),
    "exception_opened": FactType(
        _D, _in_exception, control.apply_exception_opened, control.decide_exception_opened
    ),
    "exception_reviewed": FactType(
        _D, _in_exception, control.apply_exception_reviewed, control.decide_exception_followed
    ),
    "exception_closed": FactType(
        _D, _in_exception, control.apply_exception_closed, control.decide_exception_followed
    ),
    "external_confirmation_received": FactType(_O, _in_party, party.apply_followed),
    "party_registered": FactType(_O, _in_party, party.apply_registered, party.decide_registered),
    "group_membership_changed": FactType(_O, _in_party, party.apply_followed),
    "party_amended": FactType(_O, _in_party, party.apply_followed),
    "letter_of_intent_signed": FactType(
        _O, _in_agreement, agreement.apply_letter_of_intent, agreement.decide_letter_of_intent
    ),
    "definitive_agreement_executed": FactType(
        _O,
        _in_agreement,
        agreement.apply_definitive,
        agreement.decide_definitive,
        links=_supersedes,
        apply_link=agreement.apply_superseded,
    ),
    "agreement_amended": FactType(
        _O, _in_agreement, agreement.apply_amended, agreement.decide_amended
    ),
    "agreement_novated": FactType(
        _O, _in_agreement, agreement.apply_novated, agreement.decide_novated
    ),
    "agreement_superseded": FactType(
        _O, _in_agreement, agreement.apply_superseded, agreement.decide_ended
    ),
    "agreement_terminated": FactType(
        _O, _in_agreement, agreement.apply_terminated, agreement.decide_ended
    ),
    "agreement_expired": FactType(
        _O, _in_agreement, agreement.apply_expired, agreement.decide_ended
    ),
    "tranche_condition_satisfied": FactType(
        _O,
        _in_agreement,
        agreement.apply_condition_satisfied,
        agreement.decide_condition_satisfied,
    ),
    "deployment_schedule_baselined": FactType(
        _D, _in_agreement, agreement.apply_baselined, agreement.decide_baselined
    ),
    "deployment_schedule_revised": FactType(
        _D, _in_agreement, _no_effect, agreement.decide_revised
    ),
    "rack_sku_rated": FactType(
        _O,
        within("rackSkus", "sku"),
        reference_data.apply_recorded,
        reference_data.decide_rated,
    ),
    "site_energised": FactType(_O, within("sites", "site"), reference_data.apply_recorded),
    "capacity_milestone_planned": FactType(
        _D, _in_agreement, capacity.apply_planned, capacity.decide_planned
    ),
    "capacity_milestone_claimed": FactType(
        _O, _in_agreement, capacity.apply_claimed, capacity.decide_claimed
    ),
    "capacity_milestone_certified": FactType(
        _D,
        _in_agreement,
        capacity.apply_certified,
        capacity.decide_certified,
        keys=key("certificate", "agreement", "certifier", "certificate"),
    ),
    "capacity_claim_rejected": FactType(
        _D, _in_agreement, capacity.apply_rejected, capacity.decide_rejected
    ),
    "capacity_certification_reversed": FactType(
        _D,
        _in_agreement,
        capacity.apply_certification_reversed,
        capacity.decide_certification_reversed,
    ),
    "capacity_retired": FactType(
        _O, _in_agreement, capacity.apply_retired, capacity.decide_retired
    ),
    "purchase_order_placed": FactType(
        _O, _in_order, procurement.apply_placed, procurement.decide_placed
    ),
    "purchase_order_acknowledged": FactType(
        _O, _in_order, procurement.apply_acknowledged, procurement.decide_acknowledged
    ),
    "purchase_order_amended": FactType(
        _O, _in_order, procurement.apply_amended, procurement.decide_amended
    ),
    "purchase_order_cancelled": FactType(
        _O, _in_order, procurement.apply_cancelled, procurement.decide_cancelled
    ),
    "shipment_despatched": FactType(
        _O, _in_order, procurement.apply_despatched, procurement.decide_line_exists
    ),
    "goods_received": FactType(
        _O, _in_order, procurement.apply_received, procurement.decide_line_exists
    ),
    "goods_returned": FactType(
        _O, _in_order, procurement.apply_returned, procurement.decide_returned
    ),
    "invoice_issued": FactType(
        _O,
        procurement.invoice_stream,
        procurement.apply_invoice,
        procurement.decide_invoice,
        keys=procurement.invoice_keys,
    ),
    "credit_note_issued": FactType(
        _O,
        procurement.invoice_stream,
        procurement.apply_credit_note,
        procurement.decide_credit_note,
        keys=procurement.credit_note_keys,
    ),
    "supplier_payment_settled": FactType(
        _O,
        procurement.payment_stream,
        procurement.apply_payment,
        procurement.decide_payment,
        keys=procurement.payment_keys,
    ),
    "prepayment_made": FactType(
        _O,
        procurement.payment_stream,
        procurement.apply_payment,
        procurement.decide_payment,
        keys=procurement.payment_keys,
    ),
    "supplier_refund_settled": FactType(
        _O,
        procurement.refund_stream,
        procurement.apply_refund,
        procurement.decide_refund,
        keys=procurement.refund_keys,
    ),
    "share_class_authorised": FactType(
        _D,
        lambda fact: f"issuers/{fact.issuer}/shareClasses/{fact.share_class}",
        equity.apply_share_class,
        equity.decide_share_class,
    ),
    "valuation_determined": FactType(
        _O, within("issuers", "issuer"), reference_data.apply_recorded
    ),
    "capital_call_issued": FactType(
        _D,
        _in_agreement,
        capital_calls.apply_call,
        capital_calls.decide_call,
        keys=key("call notice", "agreement", "call"),
    ),
    "capital_contribution_funded": FactType(
        _O,
        _in_agreement,
        equity.apply_contribution,
        equity.decide_contribution,
        keys=cash_keys("contribution", "agreement", "contribution"),
    ),
    "equity_shares_issued": FactType(
        _D,
        _in_agreement,
        equity.apply_issuance,
        equity.decide_issuance,
        keys=key("security", "agreement", "security"),
        links=equity.issuance_links,
        apply_link=equity.apply_class_issuance,
    ),
    "equity_issuance_rescinded": FactType(
        _D,
        _in_agreement,
        equity.apply_rescission,
        equity.decide_rescission,
        links=equity.rescission_links,
        apply_link=equity.apply_class_taken_back,
    ),
    "capital_returned": FactType(
        _O,
        _in_agreement,
        equity.apply_return,
        equity.decide_return,
        keys=bank_keys,
    ),
    "shares_repurchased": FactType(
        _O,
        _in_agreement,
        equity.apply_repurchase,
        equity.decide_repurchase,
        keys=bank_keys,
    ),
    "shares_transferred": FactType(
        _O, _in_agreement, equity.apply_transfer, equity.decide_transfer
    ),
    "warrant_issued": FactType(_D, _in_warrant, warrant.apply_issued, warrant.decide_issued),
    "warrant_condition_satisfied": FactType(
        _O, _in_warrant, warrant.apply_condition_satisfied, warrant.decide_condition_satisfied
    ),
    "warrant_tranche_vested": FactType(
        _D, _in_warrant, warrant.apply_vested, warrant.decide_vested
    ),
    "warrant_exercised": FactType(
        _O,
        _in_warrant,
        warrant.apply_exercised,
        warrant.decide_exercised,
        keys=cash_keys("exercise", "warrant", "exercise"),
    ),
    "warrant_lapsed": FactType(_O, _in_warrant, warrant.apply_lapsed, warrant.decide_lapsed),
    "spv_formed": FactType(_O, _in_vehicle, vehicle.apply_formed, vehicle.decide_formed),
    "spv_equity_contributed": FactType(
        _O,
        _in_vehicle,
        vehicle.apply_followed,
        vehicle.decide_contributed,
        keys=cash_keys("vehicle contribution", "vehicle", "contribution"),
    ),
    "distribution_paid": FactType(
        _O,
        _in_vehicle,
        vehicle.apply_followed,
        vehicle.decide_distributed,
        keys=cash_keys("distribution", "vehicle", "distribution"),
    ),
    "debt_drawn": FactType(
        _O,
        _in_debt,
        vehicle.apply_drawn,
        vehicle.decide_drawn,
        keys=cash_keys("drawing", "debt", "drawing"),
    ),
    "debt_repaid": FactType(
        _O,
        _in_debt,
        vehicle.apply_repaid,
        vehicle.decide_repaid,
        keys=cash_keys("repayment", "debt", "repayment"),
    ),
    "lease_commenced": FactType(_O, _in_lease, support.apply_promised, support.decide_promised),
    "lease_payment_settled": FactType(
        _O,
        _in_lease,
        support.apply_followed,
        support.decide_settled,
        keys=cash_keys("payment", "payer", "payment"),
    ),
    "backstop_granted": FactType(_O, _in_backstop, support.apply_promised, support.decide_promised),
    "backstop_purchase_settled": FactType(
        _O,
        _in_backstop,
        support.apply_followed,
        support.decide_settled,
        keys=cash_keys("payment", "payer", "payment"),
    ),
    "guarantee_granted": FactType(
        _O, _in_guarantee, support.apply_promised, support.decide_promised
    ),
    "guarantee_called": FactType(
        _O,
        _in_guarantee,
        support.apply_followed,
        support.decide_called,
        keys=cash_keys("demand", "guarantee", "demand"),
    ),
}

SYSTEM_FACTS = frozenset(kind for kind, fact_type in FACT_TYPES.items() if fact_type.own)
"""Facts that the ledger records itself and nobody else may."""


def new_state(stream: str) -> Any:
    """Return the state of a stream in which nothing is recorded.

    Raises:
        ValueError: no fact is recorded in streams of this name.
    """
    parts = stream.split("/")
    if len(parts) == 4 and parts[::2] == ["issuers", "shareClasses"]:  # noqa: PLR2004
        return equity.ShareClass()
    state = _STATES.get(parts[0]) if len(parts) == _depth(parts[0]) and all(parts) else None
    if state is None:
        raise ValueError(f"{stream!r} is not the name of a stream")
    return state()


def _depth(collection: str) -> int:
    return 1 if collection == CONTROL_STREAM else 2


_STATES: dict[str, Callable[[], Any]] = {
    "control": control.Control,
    "exceptions": control.RegisteredException,
    "parties": party.Party,
    "agreements": Agreement,
    "purchaseOrders": procurement.PurchaseOrder,
    "tradeAccounts": procurement.TradeAccount,
    "rackSkus": reference_data.ReferenceData,
    "sites": reference_data.ReferenceData,
    "issuers": reference_data.ReferenceData,
    "warrants": warrant.Warrant,
    "vehicles": vehicle.Vehicle,
    "debts": vehicle.Debt,
    "leases": support.Commitment,
    "backstops": support.Commitment,
    "guarantees": support.Commitment,
}

REFERENCED_STREAMS = {
    "Party": "parties/{}",
    "Agreement": "agreements/{}",
    "PurchaseOrder": "purchaseOrders/{}",
    "Warrant": "warrants/{}",
    "Vehicle": "vehicles/{}",
    "Debt": "debts/{}",
    "Lease": "leases/{}",
    "Backstop": "backstops/{}",
    "Guarantee": "guarantees/{}",
}
"""Streams of the resources that facts can refer to."""
