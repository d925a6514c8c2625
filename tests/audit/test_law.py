"""A law over any history: nothing is ever negative without an exception that says so."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from gigaledger.common.quantities import date_from_message
from gigaledger.exceptions.policy import Policy
from gigaledger.exceptions.register import register_of
from gigaledger.v1.events_pb2 import RecordedEvent
from hypothesis import given, settings

from tests.audit.histories import histories
from tests.audit.test_figures import added
from tests.hypothesis_profiles import examples
from tests.projections.test_exception_rules import postings

EARLY = "SX-CUT-04"
BALANCES = {
    ("capacity", "certified_kw"): {EARLY},
    ("investment", "called"): {EARLY},
    ("investment", "funded"): {EARLY},
    ("investment", "issued"): {EARLY},
    ("investment", "shares_outstanding"): {EARLY},
    ("round-trip.entity", "ordered"): {EARLY, "SX-DOC-01"},
    ("round-trip.entity", "received"): {EARLY},
    ("round-trip.entity", "invoiced"): {EARLY},
    ("round-trip.entity", "paid"): {EARLY},
    ("round-trip.entity", "cash.investment"): {EARLY},
}
"""What is there and can be taken back, with the rules that flag if it is taken back too early."""


@settings(max_examples=examples(60), deadline=None)
@given(histories())
def test_no_balance_is_negative_without_an_exception(events: Sequence[RecordedEvent]) -> None:
    figures = added(events)
    days = sorted({date_from_message(one.event.effective_date) for one in events})
    held = postings(events)
    for position in (len(events) // 2, len(events)):
        known = register_of(
            [one for one in held if one.position <= position], Policy(), days[-1]
        ).exceptions
        open_rules = {one.rule for one in known if one.cleared_date is None}
        for day in days:
            for key, figure in figures.at(position, as_of=day).items():
                says_so = BALANCES.get((key.section, key.name))
                if says_so and isinstance(figure.value, int | Decimal) and figure.value < 0:
                    assert not says_so.isdisjoint(open_rules), (key, figure.value, day, position)
