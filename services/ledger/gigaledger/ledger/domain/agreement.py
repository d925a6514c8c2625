"""Facts of agreements: their terms and their life, deployment schedules, conditions of tranches."""

from __future__ import annotations

from gigaledger.common.quantities import date_from_message
from gigaledger.ledger.domain.agreement_state import Agreement, Record, Status
from gigaledger.ledger.domain.book_view import (
    BookView,
    Violations,
    minor,
    repeated,
    same_currency,
    unknown,
    wrong_state,
)
from gigaledger.ledger.domain.entries import Entry
from gigaledger.ledger.domain.refusals import Rule, Violation
from gigaledger.v1.agreement_facts_pb2 import (
    AgreementTerms,
    ConditionType,
    TrancheCondition,
)
from gigaledger.v1.common_pb2 import Role

_UNIQUE_ROLES = (Role.ROLE_INVESTOR, Role.ROLE_ISSUER, Role.ROLE_SUPPLIER, Role.ROLE_BUYER)
_CAPACITY_CONDITIONS = frozenset(
    {
        ConditionType.CONDITION_TYPE_CAPACITY_CERTIFIED,
        ConditionType.CONDITION_TYPE_CAPACITY_PURCHASED,
        ConditionType.CONDITION_TYPE_CAPACITY_DELIVERED,
    }
)
_EVALUATED_CONDITIONS = frozenset(
    {
        ConditionType.CONDITION_TYPE_CAPACITY_CERTIFIED,
        ConditionType.CONDITION_TYPE_AGREEMENT_EXECUTED,
        ConditionType.CONDITION_TYPE_DATE_REACHED,
    }
)
"""Conditions that the ledger evaluates itself; the others are documented by a fact."""


def terms_violations(terms: AgreementTerms) -> Violations:
    """Yield the faults of terms by themselves."""
    roles = [entry.role for entry in terms.parties]
    for role in repeated(roles):
        if role in _UNIQUE_ROLES:
            message = f"{Role.Name(role)} is given to more than one party"
            yield Violation(Rule.FIELD_INVALID, "terms.parties", message)
    parties = {entry.role: entry.party for entry in terms.parties}
    for one, other in (
        (Role.ROLE_INVESTOR, Role.ROLE_ISSUER),
        (Role.ROLE_SUPPLIER, Role.ROLE_BUYER),
    ):
        if one in parties and parties.get(other) == parties[one]:
            message = f"{Role.Name(one)} and {Role.Name(other)} are both {parties[one]}"
            yield Violation(Rule.ID_05, "terms.parties", message, {"party": parties[one]})
    currency = terms.investment_commitment.currency_code
    for number in repeated(tranche.number for tranche in terms.tranches):
        message = f"tranche {number} is given more than once"
        yield Violation(Rule.FIELD_INVALID, "terms.tranches", message)
    for place, tranche in enumerate(terms.tranches):
        path = f"terms.tranches[{place}]"
        currency = currency or tranche.amount.currency_code
        yield from same_currency(tranche.amount, f"{path}.amount", currency, "the agreement")
        for index, condition in enumerate(tranche.conditions):
            yield from _condition_violations(condition, f"{path}.conditions[{index}]")
            if (
                condition.type == ConditionType.CONDITION_TYPE_CAPACITY_CERTIFIED
                and not terms.power_basis
            ):
                message = "is required: a condition on certified capacity is measured at it"
                yield Violation(Rule.TYPE_03, "terms.power_basis", message)
    if terms.HasField("contingent_commitment"):
        contingent = terms.contingent_commitment
        yield from same_currency(
            contingent, "terms.contingent_commitment", currency, "the agreement"
        )
        if minor(contingent) > minor(terms.investment_commitment):
            message = "exceeds investment_commitment, of which it is a part"
            yield Violation(Rule.FIELD_INVALID, "terms.contingent_commitment", message)


def _condition_violations(condition: TrancheCondition, path: str) -> Violations:
    if condition.type in _CAPACITY_CONDITIONS and not condition.power_kw:
        yield Violation(Rule.FIELD_REQUIRED, f"{path}.power_kw", "is required for this condition")
    if condition.type == ConditionType.CONDITION_TYPE_DATE_REACHED and not condition.HasField(
        "date"
    ):
        yield Violation(Rule.FIELD_REQUIRED, f"{path}.date", "is required for this condition")
    if condition.type == ConditionType.CONDITION_TYPE_STOCK_PRICE and not condition.HasField(
        "price"
    ):
        yield Violation(Rule.FIELD_REQUIRED, f"{path}.price", "is required for this condition")


def require_in_force(state: Agreement, field: str = "agreement") -> Violations:
    """Refuse a fact that needs an agreement that stands."""
    if state.exists and not state.in_force:
        yield wrong_state(field, f"the agreement is {state.status.value}", status=state.status.name)


def decide_letter_of_intent(state: Agreement, entry: Entry, _given: BookView) -> Violations:
    """Decide on LetterOfIntentSigned."""
    if state.exists:
        yield wrong_state("agreement", f"it is {state.status.value} already")
    yield from terms_violations(entry.fact.terms)


def apply_letter_of_intent(state: Agreement, entry: Entry) -> None:
    """Fold LetterOfIntentSigned."""
    state.status = Status.LETTER_OF_INTENT
    state.terms = entry.fact.terms


def decide_definitive(state: Agreement, entry: Entry, given: BookView) -> Violations:
    """Decide on DefinitiveAgreementExecuted."""
    fact = entry.fact
    if state.exists and state.status is not Status.LETTER_OF_INTENT:
        yield wrong_state("agreement", f"it is {state.status.value} already")
    yield from terms_violations(fact.terms)
    for index, agreement in enumerate(fact.supersedes):
        field = f"supersedes[{index}]"
        if agreement == fact.agreement:
            yield wrong_state(field, "an agreement does not supersede itself")
        else:
            yield from require_in_force(given.state(f"agreements/{agreement}"), field)


def apply_definitive(state: Agreement, entry: Entry) -> None:
    """Fold DefinitiveAgreementExecuted."""
    state.status = Status.DEFINITIVE
    state.executed = _record(entry)
    state.terms = entry.fact.terms


def decide_amended(state: Agreement, entry: Entry, _given: BookView) -> Violations:
    """Decide on AgreementAmended."""
    yield from require_in_force(state)
    if entry.fact.amendment != state.amendments + 1:
        message = f"is {entry.fact.amendment}, but the next amendment is {state.amendments + 1}"
        yield wrong_state("amendment", message, expected=str(state.amendments + 1))
    yield from terms_violations(entry.fact.terms)


def apply_amended(state: Agreement, entry: Entry) -> None:
    """Fold AgreementAmended."""
    state.amendments = entry.fact.amendment
    state.terms = entry.fact.terms


def decide_novated(state: Agreement, entry: Entry, _given: BookView) -> Violations:
    """Decide on AgreementNovated."""
    fact = entry.fact
    yield from require_in_force(state)
    holders = [party.party for party in state.terms.parties if party.role == fact.role]
    if state.exists and fact.from_party not in holders:
        held = ", ".join(holders) or "nobody"
        yield wrong_state("from_party", f"{Role.Name(fact.role)} is {held}, not {fact.from_party}")
    if fact.from_party == fact.to_party:
        message = f"from_party and to_party are both {fact.to_party}"
        yield Violation(Rule.ID_05, "to_party", message, {"party": fact.to_party})
    elif state.exists:
        yield from terms_violations(_novated_terms(state, entry))


def apply_novated(state: Agreement, entry: Entry) -> None:
    """Fold AgreementNovated."""
    state.terms = _novated_terms(state, entry)


def _novated_terms(state: Agreement, entry: Entry) -> AgreementTerms:
    terms = AgreementTerms()
    terms.CopyFrom(state.terms)
    for party in terms.parties:
        if (party.role, party.party) == (entry.fact.role, entry.fact.from_party):
            party.party = entry.fact.to_party
    return terms


def decide_ended(state: Agreement, _entry: Entry, _given: BookView) -> Violations:
    """Decide on AgreementTerminated, AgreementExpired and AgreementSuperseded."""
    yield from require_in_force(state)


def apply_superseded(state: Agreement, _entry: Entry) -> None:
    """Fold AgreementSuperseded, or the definitive agreement that supersedes this one."""
    state.status = Status.SUPERSEDED


def apply_terminated(state: Agreement, _entry: Entry) -> None:
    """Fold AgreementTerminated."""
    state.status = Status.TERMINATED


def apply_expired(state: Agreement, _entry: Entry) -> None:
    """Fold AgreementExpired."""
    state.status = Status.EXPIRED


def decide_condition_satisfied(state: Agreement, entry: Entry, _given: BookView) -> Violations:
    """Decide on TrancheConditionSatisfied."""
    fact = entry.fact
    tranche = state.tranche(fact.tranche)
    if tranche is None:
        yield unknown("tranche", "tranche", fact.tranche)
    elif fact.condition > len(tranche.conditions):
        yield unknown("condition", f"of tranche {fact.tranche}, condition", fact.condition)
    elif tranche.conditions[fact.condition - 1].type in _EVALUATED_CONDITIONS:
        yield wrong_state("condition", "the ledger evaluates this condition itself")


def apply_condition_satisfied(state: Agreement, entry: Entry) -> None:
    """Fold TrancheConditionSatisfied."""
    key = (entry.fact.tranche, entry.fact.condition)
    shown = _record(entry)
    first = state.satisfied.get(key, shown)
    state.satisfied[key] = shown if shown.effective_date < first.effective_date else first


def _record(entry: Entry) -> Record:
    return Record(entry.effective_date, entry.position)


def decide_baselined(state: Agreement, entry: Entry, _given: BookView) -> Violations:
    """Decide on DeploymentScheduleBaselined."""
    yield from require_in_force(state)
    if state.has_baseline:
        yield wrong_state("agreement", "a baseline is recorded already: revise it")
    yield from _points_violations(entry)


def decide_revised(state: Agreement, entry: Entry, _given: BookView) -> Violations:
    """Decide on DeploymentScheduleRevised."""
    yield from require_in_force(state)
    if state.exists and not state.has_baseline:
        yield wrong_state("agreement", "no baseline is recorded that could be revised")
    yield from _points_violations(entry)


def apply_baselined(state: Agreement, _entry: Entry) -> None:
    """Fold DeploymentScheduleBaselined."""
    state.has_baseline = True


def _points_violations(entry: Entry) -> Violations:
    points = entry.fact.points
    for index in range(1, len(points)):
        before, point = points[index - 1], points[index]
        if date_from_message(point.by_date) <= date_from_message(before.by_date):
            message = "is not after the point before it"
            yield Violation(Rule.FIELD_INVALID, f"points[{index}].by_date", message)
        if point.cumulative_power_kw < before.cumulative_power_kw:
            message = "is less than at the point before it: points are cumulative"
            yield Violation(Rule.FIELD_INVALID, f"points[{index}].cumulative_power_kw", message)
