"""The policy of a book, as far as it concerns exceptions: thresholds of the rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from gigaledger.common.quantities import money_from_message
from gigaledger.exceptions.posting import Posting
from gigaledger.v1.control_facts_pb2 import ExceptionPolicy, PolicyAdopted
from google.type.money_pb2 import Money

FIRST_POLICY = ExceptionPolicy(
    unissued_days=30,
    hardware_tolerance_ppm=50_000,
    late_recording_days=30,
    reversal_after_period_days=10,
)
"""In force until a policy replaces it. Rules about evidence, preparers and related contracts would
flag nearly everything in a book that was not kept for them, so a policy has to enable them."""

MILLION = 10**6
_WITHIN = (
    *("late_recording_days", "reversal_after_period_days", "hardware_tolerance_ppm"),
    *("working_hours_from", "working_hours_to"),
)


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy in force.

    Attributes:
        number: its number.
        approval_thresholds: in minor units, by currency.
        exceptions: thresholds of the rules.
        round_amounts: in minor units, by currency.
    """

    number: int = 1
    approval_thresholds: Mapping[str, int] = field(default_factory=dict)
    exceptions: ExceptionPolicy = field(default_factory=lambda: FIRST_POLICY)
    round_amounts: Mapping[str, int] = field(default_factory=dict)

    @property
    def within(self) -> tuple[object, ...]:
        """Thresholds of the rules that are evaluated by document, and of hardware."""
        return (
            *map(self.threshold, _WITHIN),
            *self.exceptions.usual_actors,
            tuple(sorted(self.round_amounts.items())),
            self.exceptions.match_tolerance.SerializeToString(deterministic=True),
        )

    @property
    def across(self) -> frozenset[str]:
        """Codes of the enabled rules that look across documents."""
        is_enabled = self.exceptions
        stated = {
            "SX-EVD-01": is_enabled.third_party_evidence_required,
            "SX-PO-03": is_enabled.HasField("split_order_days"),
            "SX-RT-01": is_enabled.HasField("contemporaneous_days"),
            "SX-RT-02": is_enabled.HasField("contemporaneous_days"),
            "SX-RT-03": is_enabled.HasField("recycled_ratio_ppm"),
            "SX-RT-04": is_enabled.new_cycles,
        }
        return frozenset(code for code, is_asked in stated.items() if is_asked)

    def followed_by(self, fact: PolicyAdopted) -> Policy:
        """Return the policy that results from adopting another."""
        exceptions = fact.exceptions if fact.HasField("exceptions") else self.exceptions
        thresholds = map(money_from_message, fact.approval_thresholds)
        amounts = map(money_from_message, exceptions.round_amounts)
        return Policy(
            number=fact.policy,
            approval_thresholds={money.currency: money.amount_minor for money in thresholds},
            exceptions=exceptions,
            round_amounts={money.currency: money.amount_minor for money in amounts},
        )

    def threshold(self, name: str) -> int | None:
        """Return a threshold of `ExceptionPolicy`; None if the policy does not state it."""
        if not self.exceptions.HasField(name):  # type: ignore[arg-type]
            return None
        value: int = getattr(self.exceptions, name)
        return value

    def quantity_tolerance(self, expected: int) -> int:
        """Return by how many units a quantity may differ from the expected one."""
        tolerance = self.exceptions.match_tolerance
        return max(tolerance.quantity, expected * tolerance.quantity_ppm // MILLION)

    def price_tolerance(self, expected_minor: Fraction, currency: str) -> Fraction:
        """Return by how much a unit price may differ from the expected one, in minor units."""
        tolerance = self.exceptions.match_tolerance
        part = expected_minor * tolerance.price_ppm / MILLION
        return max(part, Fraction(_minor_in(tolerance.prices, currency)))

    def amount_tolerance(self, expected_minor: int, currency: str) -> int:
        """Return by how much an amount may differ from the expected one, in minor units."""
        tolerance = self.exceptions.match_tolerance
        part = expected_minor * tolerance.amount_ppm // MILLION
        return max(part, _minor_in(tolerance.amounts, currency))


def _minor_in(amounts: Iterable[Money], currency: str) -> int:
    """Return the amount that is in a currency, in minor units; 0 if there is none."""
    return sum(
        money_from_message(amount).amount_minor
        for amount in amounts
        if amount.currency_code == currency
    )


def policy_in_force(postings: Sequence[Posting]) -> Policy:
    """Return the policy in force after some postings. It applies to the whole history."""
    reversed_positions = {one.fact.position for one in postings if one.kind == "entry_reversed"}
    policy = Policy()
    for posting in postings:
        if posting.kind == "policy_adopted" and posting.position not in reversed_positions:
            policy = policy.followed_by(posting.fact)
    return policy
