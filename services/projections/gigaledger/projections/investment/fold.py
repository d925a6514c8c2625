"""From facts to the read model of investment."""

from __future__ import annotations

from collections.abc import Iterator

from gigaledger.common.quantities import decimal_from_message
from gigaledger.projections.engine.folding import (
    Row,
    disclosed_money_columns,
    enum_text,
    money_columns,
)
from gigaledger.projections.engine.projection import Projection
from gigaledger.projections.shared.agreement_terms import terms_folds
from gigaledger.v1.agreement_facts_pb2 import TrancheConditionSatisfied
from gigaledger.v1.capacity_facts_pb2 import (
    CapacityCertificationReversed,
    CapacityMilestoneCertified,
    CapacityRetired,
)
from gigaledger.v1.common_pb2 import PowerBasis
from gigaledger.v1.equity_facts_pb2 import (
    CapitalCallIssued,
    CapitalContributionFunded,
    CapitalReturned,
    ContributionForm,
    EquityIssuanceRescinded,
    EquitySharesIssued,
    SharesRepurchased,
    SharesTransferred,
)


def _condition_satisfied(fact: TrancheConditionSatisfied) -> Iterator[Row]:
    yield Row(
        "investment_condition",
        {"agreement": fact.agreement, "tranche": fact.tranche, "condition": fact.condition},
    )


def _net_certified(
    fact: CapacityMilestoneCertified | CapacityCertificationReversed | CapacityRetired,
    sign: int,
    certificate: str = "",
) -> Iterator[Row]:
    yield Row(
        "investment_certified",
        {
            "agreement": fact.agreement,
            "power_basis": enum_text(PowerBasis, fact.power_basis),
            "power_kw": sign * fact.power_kw,
            "certificate": certificate,
        },
    )


def _certified(fact: CapacityMilestoneCertified) -> Iterator[Row]:
    yield from _net_certified(fact, 1, fact.certificate)


def _certification_reversed(fact: CapacityCertificationReversed) -> Iterator[Row]:
    yield from _net_certified(fact, -1, fact.certificate)


def _retired(fact: CapacityRetired) -> Iterator[Row]:
    yield from _net_certified(fact, -1)


def _capital(measure: str, agreement: str, **columns: object) -> Row:
    return Row("investment_capital", {"measure": measure, "agreement": agreement, **columns})


def _called(fact: CapitalCallIssued) -> Iterator[Row]:
    yield _capital(
        "CALLED",
        fact.agreement,
        call_notice=fact.call,
        tranches=list(fact.tranches),
        **money_columns(fact.amount),
    )


def _funded(fact: CapitalContributionFunded) -> Iterator[Row]:
    in_kind = fact.form == ContributionForm.CONTRIBUTION_FORM_NON_CASH
    yield _capital(
        "FUNDED_NON_CASH" if in_kind else "FUNDED_CASH",
        fact.agreement,
        contribution=fact.contribution,
        call_notice=fact.call,
        tranches=list(fact.tranches),
        **disclosed_money_columns(fact),
    )


def _returned(fact: CapitalReturned) -> Iterator[Row]:
    yield _capital(
        "RETURNED", fact.agreement, contribution=fact.contribution, **money_columns(fact.amount)
    )


def _shares(
    measure: str,
    fact: EquitySharesIssued | EquityIssuanceRescinded | SharesRepurchased | SharesTransferred,
    **columns: object,
) -> Row:
    return Row(
        "investment_shares",
        {
            "measure": measure,
            "agreement": fact.agreement,
            "security": fact.security,
            "shares": decimal_from_message(fact.shares),
            **disclosed_money_columns(fact),
            **columns,
        },
    )


def _issued(fact: EquitySharesIssued) -> Iterator[Row]:
    yield _shares(
        "ISSUED",
        fact,
        tranches=list(fact.tranches),
        price_per_share=decimal_from_message(fact.price_per_share),
    )


def _rescinded(fact: EquityIssuanceRescinded) -> Iterator[Row]:
    yield _shares("RESCINDED", fact)


def _repurchased(fact: SharesRepurchased) -> Iterator[Row]:
    yield _shares("REPURCHASED", fact)


def _transferred(fact: SharesTransferred) -> Iterator[Row]:
    yield _shares("TRANSFERRED", fact)


INVESTMENT = Projection(
    name="investment",
    package="gigaledger.projections.investment",
    folds=terms_folds("investment_terms")
    | {
        "tranche_condition_satisfied": _condition_satisfied,
        "capacity_milestone_certified": _certified,
        "capacity_certification_reversed": _certification_reversed,
        "capacity_retired": _retired,
        "capital_call_issued": _called,
        "capital_contribution_funded": _funded,
        "capital_returned": _returned,
        "equity_shares_issued": _issued,
        "equity_issuance_rescinded": _rescinded,
        "shares_repurchased": _repurchased,
        "shares_transferred": _transferred,
    },
    tables=(
        "investment_terms",
        "investment_condition",
        "investment_certified",
        "investment_capital",
        "investment_shares",
    ),
)
