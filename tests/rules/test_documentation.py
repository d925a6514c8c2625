"""The page of rules names every rule, as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from gigaledger.ledger.domain.refusals import Rule

PAGE = Path(__file__).parents[2] / "docs" / "refusals.md"


@pytest.mark.parametrize("rule", Rule, ids=lambda rule: rule.code)
def test_every_rule_is_documented(rule: Rule) -> None:
    rows = [line.split(" | ") for line in PAGE.read_text("utf-8").splitlines()]

    assert [rule.statement] == [row[2].rstrip(" |") for row in rows if row[0] == f"| `{rule.code}`"]
