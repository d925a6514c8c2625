"""Exceptions: what an auditor wants flagged, worst first."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from gigaledger.v1.projections_pb2 import (
    ExceptionFinding,
    ExceptionSeverity,
    QueryExceptionsResponse,
)
from gigaledger.web.content import Cell, Chart, Link, Note, Section, Table, columns
from gigaledger.web.formats import day, label, sentence
from gigaledger.web.sections.cells import reflects
from gigaledger.web.view import View

_SHOWN_POSITIONS = 8


def overview(view: View, answer: QueryExceptionsResponse) -> Section:
    """Return open exceptions by rule for the overview."""
    section = Section("exceptions", "Exceptions", wide=True)
    rows = []
    for severity, rule, findings in _by_rule(answer):
        rows.append(
            [
                Cell(rule, view.link("exceptions", rule=rule)),
                _severity(severity),
                Cell(f"{len(findings):,}", "", "exceptions.open", str(len(findings))),
                Cell(findings[-1].description),
            ]
        )
    if rows:
        heads = [
            *columns("rule", "severity", numbers_from=2),
            *columns("open", numbers_from=0),
            *columns("latest", numbers_from=1),
        ]
        section.parts.append(Table("Open exceptions by rule, worst first", heads, rows))
    else:
        section.parts.append(Note("No exception is open."))
    section.parts += _partial(answer)
    section.parts += reflects(answer.context, "exceptions --open", view)
    section.parts.append(Link("All exceptions", view.link("exceptions", all="yes")))
    return section


def page(view: View, answer: QueryExceptionsResponse) -> list[Section]:
    """Return exceptions rule by rule."""
    sections = []
    for severity, rule, findings in _by_rule(answer):
        rows = [
            [
                Cell(finding.description),
                Cell(finding.subject),
                Cell(day(finding.arose_date)),
                Cell(day(finding.cleared_date) or "open"),
                Cell(finding.owner or "nobody"),
                Cell(finding.resolution),
                Cell(
                    ", ".join(f"{p:,}" for p in finding.positions[:_SHOWN_POSITIONS]),
                    view.link("events", str(finding.positions[-1])) if finding.positions else "",
                ),
            ]
            for finding in findings
        ]
        names = ("exception", "about", "since", "cleared", "owner", "resolution", "events")
        name = label(ExceptionSeverity.Name, severity, "EXCEPTION_SEVERITY_")
        section = Section(f"rule-{rule.lower()}", f"{rule}: {name}", wide=True)
        section.parts.append(Table(f"{rule}, {name}", columns(*names, numbers_from=7), rows))
        sections.append(section)
    if not sections:
        sections.append(Section("exceptions", "Exceptions", [Note("There is none.")]))
    ending: list[Chart | Table | Note | Link] = [
        Note(
            f"{answer.total_count:,} exceptions, {answer.open_count:,} of them open; thresholds of "
            f"policy {answer.policy}."
        ),
        *_partial(answer),
        *reflects(answer.context, "exceptions", view),
        Link("Open exceptions only", view.link("exceptions")),
        Link("Cleared ones too", view.link("exceptions", all="yes")),
    ]
    sections.append(Section("source", "Source", ending))
    return sections


def _severity(severity: int) -> Cell:
    name = label(ExceptionSeverity.Name, severity, "EXCEPTION_SEVERITY_")
    return Cell(sentence(name), tone=name)


def _by_rule(
    answer: QueryExceptionsResponse,
) -> Iterator[tuple[int, str, list[ExceptionFinding]]]:
    def worst_first(finding: ExceptionFinding) -> tuple[int, str]:
        return -finding.severity, finding.rule

    ordered = sorted(answer.exceptions, key=worst_first)
    for (severity, rule), findings in groupby(ordered, worst_first):
        yield -severity, rule, list(findings)


def _partial(answer: QueryExceptionsResponse) -> list[Note]:
    if len(answer.exceptions) == answer.total_count:
        return []
    return [Note(f"The first {len(answer.exceptions):,} of {answer.total_count:,} are counted.")]
