"""The catalogue of facts: for each type its nature, its stream, and the rules that decide on it.

A new type of fact is a message in the contract, its rules in the module of its subject, and a row
here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from services.ledger.domain import (
    agreement,
    capacity,
    control,
    equity,
    party,
    procurement,
    reference_data,
)
from services.ledger.domain.entries import Entry
from services.ledger.domain.rulings import Given, NaturalKey, Violations


class Nature(Enum):
    """Whether a rule can keep a fact out."""

    OBSERVATION = "observation"
    """Something that happened. It is recorded, whatever the rules would have said."""
    DECISION = "decision"
    """Something within the authority of those who record it. The rules decide."""


def _no_violations(_state: Any, _entry: Entry, _given: Given) -> Violations:
    yield from ()


def _no_keys(_state: Any, _entry: Entry) -> Iterable[NaturalKey]:
    return ()


def _no_links(_state: Any, _entry: Entry) -> Iterable[str]:
    return ()


@dataclass(frozen=True, slots=True)
class FactType:
    """What the ledger knows of a type of fact.

    Attributes:
        nature: observation or decision.
        stream: the stream of a fact.
        apply: folds the fact into the state of its stream.
        decide: yields what stands against recording the fact.
        keys: the natural keys of a fact (HR-ID-02).
        links: other streams whose rules count the fact.
        apply_link: folds the fact into the state of a stream that it is linked to.
        own: whether only the ledger itself records such facts.
    """

    nature: Nature
    stream: Callable[[Any], str]
    apply: Callable[[Any, Entry], None]
    decide: Callable[[Any, Entry, Given], Violations] = _no_violations
    keys: Callable[[Any, Entry], Iterable[NaturalKey]] = _no_keys
    links: Callable[[Any, Entry], Iterable[str]] = _no_links
    apply_link: Callable[[Any, Entry], None] | None = None
    own: bool = False

    @property
    def has_keys(self) -> bool:
        """Whether facts of this type have natural keys at all."""
        return self.keys is not _no_keys


def _in_control(_fact: Any) -> str:
    return CONTROL_STREAM


def _in_agreement(fact: Any) -> str:
    return f"agreements/{fact.agreement}"


def _in_order(fact: Any) -> str:
    return f"purchaseOrders/{fact.purchase_order}"


def _in_party(fact: Any) -> str:
    return f"parties/{fact.party}"


def _in_exception(fact: Any) -> str:
    return f"exceptions/{fact.exception}"


def _key(kind: str, *fields: str) -> Callable[[Any, Entry], Iterable[NaturalKey]]:
    """Return the keys of a fact whose last field is a number that the others make unique."""

    def keys(_state: Any, entry: Entry) -> Iterable[NaturalKey]:
        values = tuple(getattr(entry.fact, name) for name in fields)
        return (NaturalKey(kind, values, fields[-1]),)

    return keys


def _contribution_keys(state: Any, entry: Entry) -> Iterable[NaturalKey]:
    yield from _key("contribution", "agreement", "contribution")(state, entry)
    yield from procurement.bank_keys(state, entry)


def _no_effect(_state: Any, _entry: Entry) -> None:
    """Fold a fact on which no later decision depends."""


def _supersedes(_state: Any, entry: Entry) -> Iterable[str]:
    return [f"agreements/{agreement}" for agreement in entry.fact.supersedes]


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
        lambda fact: f"rackSkus/{fact.sku}",
        reference_data.apply_recorded,
        reference_data.decide_rated,
    ),
    "site_energised": FactType(
        _O, lambda fact: f"sites/{fact.site}", reference_data.apply_recorded
    ),
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
        keys=_key("certificate", "agreement", "certifier", "certificate"),
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
        _O, lambda fact: f"issuers/{fact.issuer}", reference_data.apply_recorded
    ),
    "capital_call_issued": FactType(
        _D,
        _in_agreement,
        equity.apply_call,
        equity.decide_call,
        keys=_key("call notice", "agreement", "call"),
    ),
    "capital_contribution_funded": FactType(
        _O,
        _in_agreement,
        equity.apply_contribution,
        equity.decide_contribution,
        keys=_contribution_keys,
    ),
    "equity_shares_issued": FactType(
        _D,
        _in_agreement,
        equity.apply_issuance,
        equity.decide_issuance,
        keys=_key("security", "agreement", "security"),
        links=equity.issuance_links,
        apply_link=equity.apply_class_issuance,
    ),
    "equity_issuance_rescinded": FactType(
        _D,
        _in_agreement,
        equity.apply_taken_back,
        equity.decide_taken_back,
        links=equity.rescission_links,
        apply_link=equity.apply_class_taken_back,
    ),
    "capital_returned": FactType(
        _O,
        _in_agreement,
        equity.apply_return,
        equity.decide_return,
        keys=procurement.bank_keys,
    ),
    "shares_repurchased": FactType(
        _O,
        _in_agreement,
        equity.apply_taken_back,
        equity.decide_taken_back,
        keys=procurement.bank_keys,
    ),
    "shares_transferred": FactType(
        _O, _in_agreement, equity.apply_transfer, equity.decide_transfer
    ),
}

LEDGERS_OWN = frozenset(kind for kind, fact_type in FACT_TYPES.items() if fact_type.own)
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
    "agreements": agreement.Agreement,
    "purchaseOrders": procurement.PurchaseOrder,
    "tradeAccounts": procurement.TradeAccount,
    "rackSkus": reference_data.ReferenceData,
    "sites": reference_data.ReferenceData,
    "issuers": reference_data.ReferenceData,
}

REFERENCED_STREAMS = {
    "Party": "parties/{}",
    "Agreement": "agreements/{}",
    "PurchaseOrder": "purchaseOrders/{}",
}
"""Where the resources are recorded that the contract lets facts refer to."""
