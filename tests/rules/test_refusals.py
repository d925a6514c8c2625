"""Every rule refuses where it should, names itself and the field, and leaves the book as it was."""

from __future__ import annotations

import pytest
from gigaledger.ledger.domain.refusals import Kind, Rule

from tests.rules.instrument_refusals import INSTRUMENT_CASES
from tests.rules.ledger import MemoryLedger
from tests.rules.refusals import CASES, NOW, Case

ALL_CASES = [*CASES, *INSTRUMENT_CASES]

TESTED_ELSEWHERE = {
    "HR-ID-01": "tests/log/test_requests.py: request ids are kept by the log",
    "HR-SEQ-01": "tests/rules/test_book.py: checks are of requests, not of facts",
}


@pytest.mark.parametrize("case", ALL_CASES, ids=lambda case: f"{case.code} {case.name}")
def test_refuses(case: Case) -> None:
    ledger = MemoryLedger(NOW)
    for event in case.given:
        ledger.record(event)
    before = ledger.book.position

    violations = ledger.refused(case.refused)

    assert case.code in {violation.rule.code for violation in violations}
    named = [v.field for v in violations if v.rule.code == case.code]
    assert any(field.split(".", 2)[-1].endswith(case.named) for field in named), named
    assert all(violation.message for violation in violations)
    assert ledger.book.position == before


def test_every_hard_rule_has_a_case() -> None:
    hard = {rule.code for rule in Rule if rule.code.startswith("HR-")}

    assert hard - {case.code for case in ALL_CASES} == set(TESTED_ELSEWHERE)


def test_every_rule_tells_the_caller_what_to_do() -> None:
    assert {rule.kind for rule in Rule} == set(Kind)
    assert all(rule.statement for rule in Rule)
