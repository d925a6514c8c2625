"""From facts to the read model of the round trip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gigaledger.common.invoices import recoverable_tax_minor
from gigaledger.common.quantities import date_from_message, money_from_message
from gigaledger.projections.engine.folding import Row, disclosed_money_columns, money_columns
from gigaledger.projections.engine.projection import Projection
from gigaledger.projections.shared.agreement_terms import terms_folds
from gigaledger.projections.trade.circular_flows import FlowKind
from gigaledger.projections.trade.daily_balances import SUBTOTALS
from gigaledger.v1.equity_facts_pb2 import (
    CapitalCallIssued,
    CapitalContributionFunded,
    CapitalReturned,
    ContributionForm,
)
from gigaledger.v1.party_facts_pb2 import GroupMembershipChanged, PartyRegistered
from gigaledger.v1.procurement_facts_pb2 import (
    CreditNoteIssued,
    GoodsReceived,
    GoodsReturned,
    InvoiceIssued,
    OrderLine,
    PrepaymentMade,
    PurchaseOrderAmended,
    PurchaseOrderCancelled,
    PurchaseOrderPlaced,
    SupplierPaymentSettled,
    SupplierRefundSettled,
)
from gigaledger.v1.support_facts_pb2 import BackstopPurchaseSettled, LeasePaymentSettled
from gigaledger.v1.vehicle_facts_pb2 import (
    DebtDrawn,
    DebtRepaid,
    DistributionPaid,
    SpvEquityContributed,
    SpvFormed,
    UseOfProceeds,
)
from gigaledger.v1.warrant_facts_pb2 import WarrantExercised, WarrantIssued
from google.type.money_pb2 import Money


def _minor(message: Money) -> int:
    return money_from_message(message).amount_minor


def _registered(fact: PartyRegistered) -> Iterator[Row]:
    yield Row("round_trip_group", {"party": fact.party, "party_group": fact.group})


def _group_changed(fact: GroupMembershipChanged) -> Iterator[Row]:
    yield Row("round_trip_group", {"party": fact.party, "party_group": fact.group})


def _goods(
    measure: str, fact: object, line: int, quantity: int, amount_minor: int | None, **columns: bool
) -> Row:
    return Row(
        "round_trip_goods",
        {
            "measure": measure,
            "purchase_order": fact.purchase_order,  # type: ignore[attr-defined]
            "line": line,
            "quantity": quantity,
            "amount_minor": amount_minor,
            **columns,
        },
    )


def _placed(fact: PurchaseOrderPlaced) -> Iterator[Row]:
    currencies = [line.amount.currency_code or line.unit_price.currency_code for line in fact.lines]
    yield Row(
        "round_trip_order",
        {
            "purchase_order": fact.purchase_order,
            "buyer": fact.buyer,
            "supplier": fact.supplier,
            "currency": next(filter(None, currencies), ""),
        },
    )
    for line in fact.lines:
        amount = _line_amount(line)
        yield _goods(
            "ORDERED", fact, line.line, line.quantity, amount, undisclosed=line.amount_undisclosed
        )


def _line_amount(line: OrderLine) -> int | None:
    if line.HasField("amount"):
        return _minor(line.amount)
    return line.quantity * _minor(line.unit_price) if line.HasField("unit_price") else None


def _amended(fact: PurchaseOrderAmended) -> Iterator[Row]:
    amount = None
    if fact.HasField("amount_delta"):
        amount = _minor(fact.amount_delta)
    elif fact.HasField("unit_price"):
        amount = fact.quantity_delta * _minor(fact.unit_price)
    yield _goods("ORDERED", fact, fact.line, fact.quantity_delta, amount)


def _cancelled(fact: PurchaseOrderCancelled) -> Iterator[Row]:
    amount = -_minor(fact.amount) if fact.HasField("amount") else None
    yield _goods("CANCELLED", fact, fact.line, -fact.quantity, amount)


def _received(fact: GoodsReceived) -> Iterator[Row]:
    yield _goods("RECEIVED", fact, fact.line, fact.quantity, None)


def _returned(fact: GoodsReturned) -> Iterator[Row]:
    yield _goods("RECEIVED", fact, fact.line, -fact.quantity, None)


def _account(purchase_order: str, buyer: str, supplier: str) -> str:
    return purchase_order or f"{buyer}:{supplier}"


def _invoice(fact: InvoiceIssued | CreditNoteIssued, sign: int) -> Row:
    account = _account(fact.purchase_order, fact.buyer, fact.supplier)
    return Row(
        "round_trip_invoice",
        {
            "credit": sign < 0,
            "document": f"{account}/{fact.invoice}",
            "purchase_order": fact.purchase_order,
            "invoice": fact.invoice,
            "supplier": fact.supplier,
            "buyer": fact.buyer,
            "amount_minor": sign * _minor(fact.amount),
            "tax_minor": sign * recoverable_tax_minor(fact.taxes),
            "currency": fact.amount.currency_code,
            "order_amount_minor": None,
            "due_date": None,
        },
    )


def _invoiced(fact: InvoiceIssued) -> Iterator[Row]:
    row = _invoice(fact, 1)
    due_date = date_from_message(fact.due_date) if fact.HasField("due_date") else None
    own = {"order_amount_minor": _document_minor(fact), "due_date": due_date}
    yield Row(row.table, {**row.columns, **own})


def _credited(fact: CreditNoteIssued) -> Iterator[Row]:
    yield _invoice(fact, -1)


def _document_minor(fact: InvoiceIssued | SupplierPaymentSettled | PrepaymentMade) -> int:
    return _minor(fact.fx.document_amount if fact.HasField("fx") else fact.amount)


def _payment(
    fact: SupplierPaymentSettled | PrepaymentMade | SupplierRefundSettled,
    customer: str,
    supplier: str,
    invoice: str = "",
    **columns: object,
) -> Row:
    account = _account(fact.purchase_order, customer, supplier)
    return Row(
        "round_trip_payment",
        {
            "document": f"{account}/{invoice}" if invoice else "",
            "settlement": f"{account}/{fact.payment}",
            "invoice": invoice,
            "payment": fact.payment,
            "customer": customer,
            "supplier": supplier,
            "currency": fact.amount.currency_code,
            **columns,
        },
    )


def _paid(fact: SupplierPaymentSettled) -> Iterator[Row]:
    yield _payment(
        fact,
        fact.payer,
        fact.payee,
        refund=False,
        invoice=fact.invoice,
        amount_minor=_minor(fact.amount),
        document_amount_minor=_document_minor(fact),
    )


def _prepaid(fact: PrepaymentMade) -> Iterator[Row]:
    yield _payment(
        fact,
        fact.payer,
        fact.payee,
        refund=False,
        amount_minor=_minor(fact.amount),
        document_amount_minor=_document_minor(fact),
    )


def _refunded(fact: SupplierRefundSettled) -> Iterator[Row]:
    yield _payment(
        fact,
        fact.payee,
        fact.payer,
        refund=True,
        amount_minor=-_minor(fact.amount),
        document_amount_minor=None,
    )


def _capital(measure: str, agreement: str, **columns: object) -> Row:
    return Row("round_trip_capital", {"measure": measure, "agreement": agreement, **columns})


def _called(fact: CapitalCallIssued) -> Iterator[Row]:
    yield _capital("CALLED", fact.agreement, **money_columns(fact.amount))


def _funded(fact: CapitalContributionFunded) -> Iterator[Row]:
    in_kind = fact.form == ContributionForm.CONTRIBUTION_FORM_NON_CASH
    yield _capital(
        "FUNDED_NON_CASH" if in_kind else "FUNDED_CASH",
        fact.agreement,
        contribution=fact.contribution,
        investor=fact.payer,
        issuer=fact.payee,
        **disclosed_money_columns(fact),
    )


def _capital_returned(fact: CapitalReturned) -> Iterator[Row]:
    yield _capital(
        "RETURNED",
        fact.agreement,
        contribution=fact.contribution,
        investor=fact.payee,
        issuer=fact.payer,
        amount_minor=-_minor(fact.amount),
        currency=fact.amount.currency_code,
    )


def _instrument(instrument: str, payer: str, payee: str, currency: str, **columns: object) -> Row:
    return Row(
        "round_trip_instrument",
        {
            "instrument": instrument,
            "payer": payer,
            "payee": payee,
            "currency": currency,
            **columns,
        },
    )


def _financing(kind: FlowKind, instrument: str, **columns: object) -> Row:
    return Row("round_trip_financing", {"kind": kind.value, "instrument": instrument, **columns})


def _spent(uses: Iterable[UseOfProceeds]) -> dict[str, object]:
    uses = list(uses)
    return {
        "spent_on": [use.payee for use in uses],
        "share_ppm": [use.share_ppm for use in uses],
    }


def _vehicle_formed(fact: SpvFormed) -> Iterator[Row]:
    currency = fact.planned_equity.currency_code or fact.planned_debt.currency_code
    yield _instrument(
        f"vehicles/{fact.vehicle}", "", fact.vehicle, currency, **_spent(fact.use_of_proceeds)
    )


def _vehicle_funded(fact: SpvEquityContributed) -> Iterator[Row]:
    yield _financing(
        FlowKind.INVESTMENT,
        f"vehicles/{fact.vehicle}",
        payer=fact.payer,
        payee=fact.vehicle,
        **disclosed_money_columns(fact),
        **_spent(fact.use_of_proceeds),
    )


def _distributed(fact: DistributionPaid) -> Iterator[Row]:
    yield _financing(
        FlowKind.INVESTMENT,
        f"vehicles/{fact.vehicle}",
        payer=fact.vehicle,
        payee=fact.payee,
        **money_columns(fact.amount),
    )


def _drawn(fact: DebtDrawn) -> Iterator[Row]:
    debt = f"debts/{fact.debt}"
    amount = money_columns(fact.amount)
    yield _instrument(debt, fact.lender, fact.borrower, fact.amount.currency_code)
    yield _financing(
        FlowKind.DEBT,
        debt,
        payer=fact.lender,
        payee=fact.borrower,
        **amount,
        **_spent(fact.use_of_proceeds),
    )


def _repaid(fact: DebtRepaid) -> Iterator[Row]:
    debt = f"debts/{fact.debt}"
    yield _financing(
        FlowKind.DEBT,
        debt,
        amount_minor=-_minor(fact.amount),
        currency=fact.amount.currency_code,
    )
    if fact.HasField("interest"):
        yield _financing(FlowKind.DEBT, debt, backwards=True, **money_columns(fact.interest))


def _rent_paid(fact: LeasePaymentSettled) -> Iterator[Row]:
    yield _financing(
        FlowKind.LEASE,
        f"leases/{fact.lease}",
        payer=fact.payer,
        payee=fact.payee,
        **money_columns(fact.amount),
    )


def _backstop_bought(fact: BackstopPurchaseSettled) -> Iterator[Row]:
    yield _financing(
        FlowKind.PURCHASE,
        f"backstops/{fact.backstop}",
        payer=fact.payer,
        payee=fact.payee,
        **money_columns(fact.amount),
    )


def _warrant_issued(fact: WarrantIssued) -> Iterator[Row]:
    currency = fact.exercise_cost.currency_code
    yield _instrument(f"warrants/{fact.warrant}", fact.holder, fact.issuer, currency)


def _warrant_exercised(fact: WarrantExercised) -> Iterator[Row]:
    if fact.HasField("amount"):
        warrant = f"warrants/{fact.warrant}"
        yield _financing(FlowKind.INVESTMENT, warrant, **money_columns(fact.amount))


ROUND_TRIP = Projection(
    name="round-trip",
    version=6,
    package="gigaledger.projections.trade",
    folds=terms_folds("round_trip_terms")
    | {
        "party_registered": _registered,
        "group_membership_changed": _group_changed,
        "purchase_order_placed": _placed,
        "purchase_order_amended": _amended,
        "purchase_order_cancelled": _cancelled,
        "goods_received": _received,
        "goods_returned": _returned,
        "invoice_issued": _invoiced,
        "credit_note_issued": _credited,
        "supplier_payment_settled": _paid,
        "prepayment_made": _prepaid,
        "supplier_refund_settled": _refunded,
        "capital_call_issued": _called,
        "capital_contribution_funded": _funded,
        "capital_returned": _capital_returned,
        "spv_formed": _vehicle_formed,
        "spv_equity_contributed": _vehicle_funded,
        "distribution_paid": _distributed,
        "debt_drawn": _drawn,
        "debt_repaid": _repaid,
        "lease_payment_settled": _rent_paid,
        "backstop_purchase_settled": _backstop_bought,
        "warrant_issued": _warrant_issued,
        "warrant_exercised": _warrant_exercised,
    },
    tables=(
        "round_trip_terms",
        "round_trip_group",
        "round_trip_order",
        "round_trip_goods",
        "round_trip_invoice",
        "round_trip_payment",
        "round_trip_capital",
        "round_trip_instrument",
        "round_trip_financing",
    ),
    subtotals=SUBTOTALS,
)
