"""Investment against entitlement."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from gigaledger.client import amount_of, date_of
from gigaledger.v1.projections_pb2 import (
    InvestmentFigures,
    MoneyFigure,
    QueryInvestmentResponse,
    TrancheTimeline,
)
from gigaledger.web.charts import Line, bar_chart, magnitude, step_chart
from gigaledger.web.content import Cell, Chart, Link, Note, Section, Table, columns
from gigaledger.web.formats import day, days, grouped, money
from gigaledger.web.sections.cells import amount, reflects, texts, units
from gigaledger.web.view import View

_FIGURES = (
    ("committed", "committed", False),
    ("indicative, not binding", "indicative", False),
    ("contingent", "contingent", False),
    ("entitled", "entitled", True),
    ("entitled pro rata, for comparison", "entitled_pro_rata", True),
    ("called", "called", True),
    ("invested in cash, gross", "funded_gross_cash", True),
    ("invested in kind, gross", "funded_gross_non_cash", True),
    ("returned", "returned", True),
    ("invested", "funded", True),
    ("issued", "issued", True),
    ("committed, not invested", "remaining_commitment", True),
    ("available to call", "available_to_call", True),
    ("entitled, not invested", "unfunded_entitlement", True),
    ("invested beyond entitlement", "overfunded", True),
    ("secondary trades", "secondary", True),
)
_LINES = (
    ("committed", "committed"),
    ("entitled", "entitled"),
    ("called", "called"),
    ("invested", "funded"),
)
_HEADLINES = ("committed", "entitled", "called", "funded", "unfunded_entitlement", "overfunded")


def overview(
    view: View, answer: QueryInvestmentResponse, series: Sequence[QueryInvestmentResponse]
) -> Section:
    """Return invested against entitled for the overview."""
    section = Section("investment", "Invested against entitled", wide=True)
    if not answer.totals:
        section.parts.append(Note("No investment is recorded that this page would count."))
    for total in answer.totals:
        section.parts += _progress(view, total, series)
        section.parts += _by_agreement(view, answer, total.currency_code)
    section.parts += reflects(answer.context, "investment", view)
    section.parts.append(Link("Investment in detail", view.link("investment")))
    return section


def page(
    view: View, answer: QueryInvestmentResponse, series: Sequence[QueryInvestmentResponse]
) -> list[Section]:
    """Return all of investment."""
    sections = []
    for total in answer.totals:
        section = Section(
            f"total-{total.currency_code}", f"All agreements, {total.currency_code}", wide=True
        )
        section.parts += _progress(view, total, series)
        section.parts += _by_agreement(view, answer, total.currency_code)
        sections.append(section)
    for number, item in enumerate(answer.agreements, 1):
        heading = f"{item.agreement}: {item.investor} invests in {item.issuer}"
        rows = [
            [
                Cell(name),
                amount(
                    view,
                    f"investment.{field}",
                    getattr(item, field),
                    _about(item) if listed else None,
                ),
            ]
            for name, field, listed in _FIGURES
            if not _is_blank(getattr(item, field)) or field in _HEADLINES
        ]
        rows.append(
            [Cell("shares outstanding"), Cell(grouped(Decimal(item.shares_outstanding or 0)))]
        )
        if item.average_price:
            price = f"{item.currency_code} {grouped(Decimal(item.average_price))}"
            rows.append(texts("average price", price))
        section = Section(f"agreement-{number}", heading)
        section.parts.append(
            Table(f"{item.agreement}, {item.currency_code}", columns("figure", "amount"), rows)
        )
        sections.append(section)
    if answer.tranches:
        sections.append(
            Section(
                "tranches",
                "Tranches, from entitlement to cash",
                [_tranches(view, answer)],
                wide=True,
            )
        )
    if not sections:
        note = Note("No investment is recorded that this page would count.")
        sections.append(Section("investment", "Investment", [note]))
    sections.append(Section("source", "Source", [*reflects(answer.context, "investment", view)]))
    return sections


def _about(item: InvestmentFigures) -> dict[str, str]:
    return {"agreement": item.agreement} if item.agreement else {}


def _is_blank(figure: MoneyFigure) -> bool:
    return not (figure.amount.units or figure.amount.nanos or figure.undisclosed_count)


def _progress(
    view: View, total: InvestmentFigures, series: Sequence[QueryInvestmentResponse]
) -> list[Chart | Table | Note | Link]:
    currency = total.currency_code
    found = []
    for answer in series:
        on = date_of(answer.context.as_of)
        item = next((t for t in answer.totals if t.currency_code == currency), InvestmentFigures())
        found.append((on, item))
    every = [amount_of(getattr(item, f).amount) for _, item in found for _, f in _LINES]
    divisor, scale = magnitude(every)
    lines = [
        Line(name, [(on, units(getattr(item, field), divisor)) for on, item in found])
        for name, field in _LINES
    ]
    unit = f"{currency} {scale}".strip()
    parts: list[Chart | Table | Note | Link] = []
    if found:
        description = "Committed, entitled, called and invested at the end of each interval."
        parts.append(Note(f"{unit}, all agreements"))
        parts.append(Chart(step_chart(f"Investment in {unit}", description, lines)))
        parts.append(
            Table(
                f"Chart as a table: {unit}",
                columns("as of", *(line.name for line in lines)),
                [
                    [
                        Cell(on.isoformat()),
                        *(Cell(grouped(units(getattr(item, f), divisor))) for _, f in _LINES),
                    ]
                    for on, item in found
                ],
                folded=True,
            )
        )
    rows = [
        [
            Cell(name),
            amount(
                view,
                f"investment.{field}",
                getattr(total, field),
                {"currency_code": currency} if listed else None,
            ),
        ]
        for name, field, listed in _FIGURES
        if field in _HEADLINES
    ]
    parts.append(
        Table(f"All agreements, {currency}", columns("figure", "amount"), rows, beside=bool(found))
    )
    return parts


def _by_agreement(
    view: View, answer: QueryInvestmentResponse, currency: str
) -> list[Chart | Table | Note | Link]:
    items = [item for item in answer.agreements if item.currency_code == currency]
    if not items:
        return []
    divisor, scale = magnitude(
        amount_of(getattr(item, field).amount) for item in items for _, field in _LINES
    )
    unit = f"{currency} {scale}".strip()
    groups = [
        (item.agreement, [units(getattr(item, field), divisor) for _, field in _LINES])
        for item in items
    ]
    names = [name for name, _ in _LINES]
    rows = [
        [
            Cell(item.agreement, view.link("events", agreement=item.agreement)),
            Cell(item.investor),
            Cell(item.issuer),
            *(
                amount(
                    view,
                    f"investment.{field}",
                    getattr(item, field),
                    _about(item) if field != "committed" else None,
                )
                for _, field in _LINES
            ),
        ]
        for item in items
    ]
    heads = columns("agreement", "investor", "issuer", *names, numbers_from=3)
    return [
        Note(f"{unit}, by agreement"),
        Chart(
            bar_chart(
                f"By agreement, {unit}", "Committed, entitled, called, invested.", names, groups
            )
        ),
        Table(f"By agreement, {currency}", heads, rows),
    ]


def _tranches(view: View, answer: QueryInvestmentResponse) -> Table:
    timelines = {(item.agreement, item.tranche): item for item in answer.timelines}
    rows = []
    for item in answer.tranches:
        timeline = timelines.get((item.agreement, item.tranche), TrancheTimeline())
        position = timeline.causes[0].position if timeline.causes else 0
        since = day(timeline.entitled_date) or ("yes" if item.entitled else "not entitled")
        rows.append(
            [
                Cell(f"{item.agreement}, {item.tranche}"),
                Cell(money(item.amount)),
                Cell(since, view.link("events", str(position)) if position else ""),
                Cell(day(timeline.called_date) or "not called"),
                Cell(day(timeline.funded_date) or "not invested"),
                Cell(days(timeline.days_to_fund) if timeline.HasField("days_to_fund") else ""),
                amount(view, "investment.tranches.called", item.called, None),
                amount(view, "investment.tranches.funded", item.funded, None),
            ]
        )
    heads = [
        *columns("tranche", numbers_from=1),
        *columns("amount", numbers_from=0),
        *columns("entitled since", "called on", "first invested on", numbers_from=3),
        *columns("entitled to cash", numbers_from=1),
        *columns("called", "invested", numbers_from=0),
    ]
    return Table("Amounts, days and the certificates behind them", heads, rows)
