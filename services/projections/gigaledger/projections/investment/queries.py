"""Answers about investment, from the tables of this projection."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import reduce
from operator import add
from typing import Any

from gigaledger.projections.engine.snapshot import ReadScope, Snapshot
from gigaledger.projections.engine.statements import statement
from gigaledger.projections.investment.figures import (
    Evidence,
    Figures,
    Recorded,
    figures_of,
    reached,
    split_amount,
    split_shares,
)
from gigaledger.projections.investment.timelines import timelines
from gigaledger.projections.shared.agreement_terms import Agreements, read_agreements
from gigaledger.projections.shared.agreements import AgreementStatus, History, Terms
from gigaledger.projections.shared.amounts import Amount, money, ten_places, total
from gigaledger.v1.projections_pb2 import (
    InvestmentFigures,
    QueryInvestmentResponse,
    TrancheFigures,
)

_CERTIFIED = statement("""
    SELECT agreement, power_basis, effective_date, sum(power_kw)::bigint AS power_kw,
           array_agg(DISTINCT assertion_status) AS statuses
    FROM investment_certified
    WHERE {counted} AND (%(agreements)s::text[] IS NULL OR agreement = ANY(%(agreements)s))
    GROUP BY 1, 2, 3
""")

_CONDITIONS = statement("""
    SELECT agreement, tranche, condition, array_agg(DISTINCT assertion_status) AS statuses
    FROM investment_condition
    WHERE {counted} AND (%(agreements)s::text[] IS NULL OR agreement = ANY(%(agreements)s))
    GROUP BY 1, 2, 3
""")

# The contribution states the tranches of its capital, or else the call that it answers. A document
# recorded in error still does, if no other does, so that nothing recorded under it drops out.
# Amounts for one tranche, or for none, are summed here; documents that
# name several stay apart, for each is split by itself.
_CAPITAL = statement("""
    WITH call AS (
        SELECT DISTINCT ON (agreement, call_notice) agreement, call_notice, tranches
        FROM investment_capital WHERE measure = 'CALLED' AND {recorded}
        ORDER BY agreement, call_notice, {known} DESC, position DESC
    ), funding AS (
        SELECT DISTINCT ON (agreement, contribution)
               agreement, contribution, call_notice, tranches, effective_date
        FROM investment_capital WHERE measure IN ('FUNDED_CASH', 'FUNDED_NON_CASH') AND {recorded}
        ORDER BY agreement, contribution, {known} DESC, position DESC
    ), source AS (
        SELECT agreement, contribution, funding.effective_date AS day,
               CASE WHEN cardinality(funding.tranches) > 0 THEN funding.tranches
                    ELSE coalesce(call.tranches, '{}') END AS tranches
        FROM funding LEFT JOIN call USING (agreement, call_notice)
    ), entry AS (
        SELECT * FROM investment_capital
        WHERE {counted} AND (%(agreements)s::text[] IS NULL OR agreement = ANY(%(agreements)s))
    ), described AS (
        SELECT entry.measure, agreement, entry.currency, entry.amount_minor,
               entry.assertion_status,
               CASE WHEN entry.measure = 'CALLED' THEN entry.tranches
                    ELSE coalesce(source.tranches, '{}') END AS tranches,
               CASE WHEN entry.measure = 'CALLED' THEN entry.call_notice
                    ELSE contribution END AS document,
               CASE WHEN entry.measure = 'CALLED' THEN entry.effective_date
                    ELSE coalesce(source.day, entry.effective_date) END AS day
        FROM entry LEFT JOIN source USING (agreement, contribution)
    )
    SELECT measure, agreement, currency, tranches,
           CASE WHEN cardinality(tranches) > 1 THEN document END AS document,
           CASE WHEN cardinality(tranches) > 1 THEN day END AS day,
           coalesce(sum(amount_minor), 0) AS amount_minor,
           count(*) FILTER (WHERE amount_minor IS NULL) AS undisclosed,
           array_agg(DISTINCT assertion_status) AS statuses
    FROM described
    GROUP BY 1, 2, 3, 4, 5, 6
    ORDER BY 1, 2, 3, 4, 5, 6
""")

# The same for shares. Shares taken back have the price at which they were issued.
_SHARES = statement("""
    WITH issuance AS (
        SELECT DISTINCT ON (agreement, security)
               agreement, security, tranches, price_per_share, effective_date
        FROM investment_shares WHERE measure = 'ISSUED' AND {recorded}
        ORDER BY agreement, security, {known} DESC, position DESC
    ), entry AS (
        SELECT * FROM investment_shares
        WHERE {counted} AND (%(agreements)s::text[] IS NULL OR agreement = ANY(%(agreements)s))
    ), described AS (
        SELECT entry.measure, agreement, security, entry.currency, entry.shares,
               entry.shares * coalesce(issuance.price_per_share, 0) AS price,
               entry.amount_minor, entry.assertion_status,
               coalesce(issuance.tranches, '{}') AS tranches,
               coalesce(issuance.effective_date, entry.effective_date) AS day
        FROM entry LEFT JOIN issuance USING (agreement, security)
    )
    SELECT measure, agreement, currency, tranches,
           CASE WHEN cardinality(tranches) > 1 THEN security END AS document,
           CASE WHEN cardinality(tranches) > 1 THEN day END AS day,
           sum(shares) AS shares, sum(price) AS price,
           coalesce(sum(amount_minor), 0) AS amount_minor,
           count(*) FILTER (WHERE amount_minor IS NULL) AS undisclosed,
           array_agg(DISTINCT assertion_status) AS statuses
    FROM described
    GROUP BY 1, 2, 3, 4, 5, 6
    ORDER BY 1, 2, 3, 4, 5, 6
""")

_GAIN = {"ISSUED": 1, "RESCINDED": -1, "REPURCHASED": -1}
"""Measures that make up outstanding shares, and their signs."""

_Rows = list[dict[str, Any]]


@dataclass(slots=True)
class _Records:
    """What counts under one agreement."""

    certified: _Rows = field(default_factory=list)
    conditions: _Rows = field(default_factory=list)
    capital: _Rows = field(default_factory=list)
    shares: _Rows = field(default_factory=list)

    def statuses(self) -> Iterator[str]:
        for rows in (self.certified, self.conditions, self.capital, self.shares):
            for row in rows:
                yield from row["statuses"]


@dataclass(frozen=True, slots=True)
class Account:
    """An agreement and the facts that count under it.

    Attributes:
        history: by the changes that count; None if none does.
        status: terms and status on the day; None before the first terms.
        terms: those of the day, or else the first that are known.
        currency: of the investment; that of the facts if the terms state none, and empty if these
            are in several or state none either.
    """

    name: str
    history: History | None
    status: AgreementStatus | None
    terms: Terms
    currency: str
    evidence: Evidence
    records: _Records

    @property
    def invests(self) -> bool:
        """Whether its terms speak of an investment."""
        terms = self.terms
        return self.status is not None and bool(
            terms.commitment_minor is not None or terms.undisclosed or terms.tranches
        )

    def currency_of(self, row: dict[str, Any]) -> str:
        """Return the currency of a row: that of the investment if it is not disclosed."""
        return row["currency"] or self.currency

    def weights(self, row: dict[str, Any]) -> Terms:
        """Return the terms by which a document that names several tranches is split."""
        return self.history.terms_on(row["day"]) if self.history and row["day"] else self.terms


async def query_investment(snapshot: Snapshot, agreement: str) -> QueryInvestmentResponse:
    """Answer QueryInvestment.

    Args:
        snapshot: a snapshot of the projection.
        agreement: only this agreement and those that it supersedes; all if empty.
    """
    agreements = await read_agreements(snapshot, "investment_terms")
    lines: list[InvestmentFigures] = []
    totals: dict[str, Figures] = {}
    tranches: list[TrancheFigures] = []
    for account, figures in await read_accounts(snapshot, agreements, agreement):
        for currency, found in figures.items():
            lines.append(_figures_message(found, currency, account))
            totals[currency] = totals[currency] + found if currency in totals else found
        tranches += _tranches(account)
    return QueryInvestmentResponse(
        context=snapshot.context(),
        agreements=lines,
        totals=[_figures_message(totals[currency], currency) for currency in sorted(totals)],
        tranches=tranches,
        timelines=await timelines(snapshot, agreements, agreements.only(agreement)),
    )


async def read_accounts(
    snapshot: Snapshot, agreements: Agreements, agreement: str
) -> list[tuple[Account, dict[str, Figures]]]:
    """Return the agreements with investments, with their figures by currency.

    Args:
        snapshot: a snapshot of the projection.
        agreements: the agreements of the book.
        agreement: only this agreement and those that it supersedes; all if empty.
    """
    only = agreements.only(agreement)
    records = await _read_records(snapshot, only)
    moved = {name for name, entry in records.items() if entry.capital or entry.shares}
    found = []
    for name in sorted(moved | {n for n in agreements.counted if only is None or n in only}):
        account = _account(snapshot.scope, agreements, name, records[name])
        figures = _figures(account)
        if figures:
            snapshot.add_provenance(account.records.statuses())
            snapshot.add_provenance(agreements.statuses(name))
            found.append((account, figures))
    return found


async def _read_records(
    snapshot: Snapshot, only: frozenset[str] | None
) -> defaultdict[str, _Records]:
    agreements = sorted(only) if only is not None else None
    records: defaultdict[str, _Records] = defaultdict(_Records)
    for row in await snapshot.rows(_CERTIFIED, agreements=agreements):
        records[row["agreement"]].certified.append(row)
    for row in await snapshot.rows(_CONDITIONS, agreements=agreements):
        records[row["agreement"]].conditions.append(row)
    for row in await snapshot.rows(_CAPITAL, agreements=agreements):
        records[row["agreement"]].capital.append(row)
    for row in await snapshot.rows(_SHARES, agreements=agreements):
        records[row["agreement"]].shares.append(row)
    return records


def _account(scope: ReadScope, agreements: Agreements, name: str, records: _Records) -> Account:
    history = agreements.counted.get(name)
    status = history.on(scope.as_of_end, scope.evaluation_date) if history else None
    known = agreements.known.get(name)
    terms = status.terms if status else known.terms_on(scope.as_of_end) if known else Terms()
    currencies = {row["currency"] for row in (*records.capital, *records.shares)} - {""}
    certified: dict[str, dict[Any, int]] = defaultdict(dict)
    for row in records.certified:
        certified[row["power_basis"]][row["effective_date"]] = row["power_kw"]
    return Account(
        name=name,
        history=history,
        status=status,
        terms=terms,
        currency=terms.currency or (currencies.pop() if len(currencies) == 1 else ""),
        evidence=Evidence(
            evaluation_date=scope.evaluation_date,
            certified=certified,
            documented=frozenset((row["tranche"], row["condition"]) for row in records.conditions),
        ),
        records=records,
    )


def _figures(account: Account) -> dict[str, Figures]:
    """Return the figures of an agreement by currency, in order."""
    records = account.records
    currencies = {account.currency_of(row) for row in (*records.capital, *records.shares)}
    if account.invests:
        currencies.add(account.currency)
    return {
        currency: figures_of(
            account.status if currency == account.currency else None,
            account.evidence,
            recorded_of(account, currency),
        )
        for currency in sorted(currencies)
    }


def recorded_of(account: Account, currency: str) -> Recorded:
    """Return the amounts recorded under an agreement in one currency."""

    def rows(given: _Rows) -> _Rows:
        return [row for row in given if account.currency_of(row) == currency]

    capital, shares = rows(account.records.capital), rows(account.records.shares)
    return Recorded(
        called=_total(capital, "CALLED"),
        funded_gross_cash=_total(capital, "FUNDED_CASH"),
        funded_gross_non_cash=_total(capital, "FUNDED_NON_CASH"),
        returned=_total(capital, "RETURNED"),
        issued=_total(shares, "ISSUED") - _total(shares, "RESCINDED"),
        secondary=_total(shares, "TRANSFERRED"),
        shares=sum(
            (_GAIN.get(row["measure"], 0) * Fraction(row["shares"]) for row in shares), Fraction(0)
        ),
    )


def _total(rows: Iterable[dict[str, Any]], measure: str) -> Amount:
    return total(_amount(row) for row in rows if row["measure"] == measure)


def _amount(row: dict[str, Any]) -> Amount:
    return Amount(int(row["amount_minor"]), row["undisclosed"])


def _tranches(account: Account) -> Iterator[TrancheFigures]:
    """Return the ladder of an agreement in force, with the amounts recorded for each tranche."""
    status = account.status
    if status is None or not status.in_force:
        return
    open_ = reached(status, account.evidence)
    called = _split_capital(account, {"CALLED": 1})
    funded = _split_capital(account, {"FUNDED_CASH": 1, "FUNDED_NON_CASH": 1, "RETURNED": -1})
    shares, prices = _split_shares(account)
    for tranche in sorted(status.terms.tranches, key=lambda tranche: tranche.number):
        number, currency = tranche.number, account.currency
        held = shares[number]
        yield TrancheFigures(
            agreement=account.name,
            tranche=number,
            amount=money(tranche.amount_minor, currency),
            entitled=number in open_,
            called=called[number].figure(currency),
            funded=funded[number].figure(currency),
            shares=ten_places(held),
            price_per_share=ten_places(prices[number] / held) if held > 0 else "",
        )


def _documents(account: Account, rows: _Rows) -> Iterator[_Rows]:
    """Return the rows of the investment's currency, grouped by document."""
    documents: dict[tuple[Any, ...], _Rows] = defaultdict(list)
    for row in rows:
        if account.currency_of(row) == account.currency:
            documents[tuple(row["tranches"]), row["document"], row["day"]].append(row)
    yield from documents.values()


def _split_capital(account: Account, signs: dict[str, int]) -> defaultdict[int, Amount]:
    """Return net amounts by tranche. What goes back is taken off its document before the split."""
    parts: defaultdict[int, Amount] = defaultdict(Amount)
    rows = [row for row in account.records.capital if row["measure"] in signs]
    for document in _documents(account, rows):
        net = Amount(
            sum(signs[row["measure"]] * int(row["amount_minor"]) for row in document),
            sum(row["undisclosed"] for row in document),
        )
        first = document[0]
        numbers = list(dict.fromkeys(first["tranches"]))
        for number, part in split_amount(net, numbers, account.weights(first)).items():
            parts[number] += part
    return parts


def _split_shares(
    account: Account,
) -> tuple[defaultdict[int, Fraction], defaultdict[int, Fraction]]:
    """Return outstanding shares, and what they were issued for in units, by tranche."""
    shares: defaultdict[int, Fraction] = defaultdict(Fraction)
    prices: defaultdict[int, Fraction] = defaultdict(Fraction)
    rows = [row for row in account.records.shares if row["measure"] in _GAIN]
    for document in _documents(account, rows):
        net, price = (
            reduce(add, (_GAIN[row["measure"]] * Fraction(row[column]) for row in document))
            for column in ("shares", "price")
        )
        first = document[0]
        numbers = list(dict.fromkeys(first["tranches"]))
        for number, part in split_shares(net, numbers, account.weights(first)).items():
            shares[number] += part
            prices[number] += part * price / net if net else 0
    return shares, prices


def _figures_message(
    figures: Figures, currency: str, account: Account | None = None
) -> InvestmentFigures:
    amounts: dict[str, Any] = {
        name: amount.figure(currency) for name, amount in figures.amounts().items()
    }
    return InvestmentFigures(
        agreement=account.name if account else "",
        investor=account.terms.investor if account else "",
        issuer=account.terms.issuer if account else "",
        currency_code=currency,
        shares_outstanding=ten_places(figures.shares),
        average_price=figures.average_price(currency),
        **amounts,
    )
