"""All rules that flag: a new one is a function in the module of its subject, and a row there."""

from __future__ import annotations

from collections.abc import Iterator

from gigaledger.exceptions import (
    capacity_rules,
    capital_rules,
    control_totals,
    cut_off,
    journal_entry_tests,
    party_rules,
    related_transactions,
    share_rules,
    three_way_match,
)
from gigaledger.exceptions.rules import PostingRule, Severity, Topic

POSTING_RULES: tuple[PostingRule, ...] = (
    *cut_off.RULES,
    *capacity_rules.RULES,
    *control_totals.RULES,
    *three_way_match.RULES,
    *related_transactions.RULES,
    *journal_entry_tests.RULES,
)
TOPICS: tuple[Topic, ...] = (
    capital_rules.TOPIC,
    share_rules.TOPIC,
    *capacity_rules.TOPICS,
    three_way_match.TOPIC,
    *party_rules.TOPICS,
)


def _stated() -> Iterator[tuple[str, tuple[Severity, str]]]:
    for rule in POSTING_RULES:
        yield rule.code, (rule.severity, rule.statement)
    for topic in TOPICS:
        for subject_rule in topic.rules:
            yield subject_rule.code, (subject_rule.severity, subject_rule.statement)
    yield (
        cut_off.EARLY_REVERSAL,
        (cut_off.EARLY_REVERSAL_SEVERITY, cut_off.EARLY_REVERSAL_STATEMENT),
    )


RULES: dict[str, tuple[Severity, str]] = dict(sorted(_stated()))
"""Severity and statement of each rule, by its code."""
EVIDENCE = "SX-EVD-01"
"""The rule that a counterparty's confirmation satisfies."""
