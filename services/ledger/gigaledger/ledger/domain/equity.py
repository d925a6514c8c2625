"""Equity under an agreement: capital called, funded, returned; shares issued and taken back.

Calls and registrations of shares are decisions, which rules can refuse. Money that moved is
recorded whatever the rules say, and flagged if it breaks one.
"""

from __future__ import annotations

from decimal import Decimal

from gigaledger.common.quantities import decimal_from_message
from gigaledger.ledger.domain.agreement_state import Agreement, Contribution, Issuance
from gigaledger.ledger.domain.book_view import (
    BookView,
    Violations,
    amount_disclosed,
    amount_of_shares,
    at_most,
    different,
    minor,
    same_currency,
    unknown,
    wrong_state,
)
from gigaledger.ledger.domain.dated_balance import DatedBalance, not_before
from gigaledger.ledger.domain.entries import Entry
from gigaledger.ledger.domain.refusals import Rule, Violation
from gigaledger.v1.common_pb2 import Role


def decide_contribution(state: Agreement, entry: Entry, _given: BookView) -> Violations:
    """Decide on CapitalContributionFunded: only on whether it can be true."""
    fact = entry.fact
    yield from different(fact, "payer", "payee")
    yield from amount_disclosed(fact)
    if fact.call and fact.call not in state.equity.calls:
        yield unknown("call", "call notice", fact.call)
    for index, number in enumerate(fact.tranches):
        if state.exists and state.tranche(number) is None:
            yield unknown(f"tranches[{index}]", "tranche", number)
    if fact.HasField("amount"):
        yield from same_currency(fact.amount, "amount", state.currency, "the agreement")


def apply_contribution(state: Agreement, entry: Entry) -> None:
    """Fold CapitalContributionFunded."""
    fact = entry.fact
    if fact.call and fact.call not in state.equity.calls:
        state.equity.missing(f"call notice {fact.call}")
    amount = None if fact.amount_undisclosed else minor(fact.amount)
    state.equity.contributions[fact.contribution] = Contribution(amount, fact.amount.currency_code)


def decide_issuance(state: Agreement, entry: Entry, given: BookView) -> Violations:
    """Decide on EquitySharesIssued: HR-INV-04, HR-INV-06 and HR-INV-07."""
    fact = entry.fact
    if state.exists and not state.in_force:
        yield wrong_state("agreement", f"the agreement is {state.status.value}")
    elif state.exists and not state.binding:
        yield wrong_state("agreement", "shares are registered under a binding agreement only")
    if state.exists and not state.party(Role.ROLE_ISSUER):
        yield wrong_state("agreement", "the agreement names no issuer")
    if state.executed is not None:
        yield from not_before(entry, state.executed.effective_date, "the agreement is executed")
    yield from same_currency(fact.amount, "amount", state.currency, "the agreement")
    yield from amount_of_shares(
        fact.amount, "amount", fact.shares, (fact.price_per_share, "price_per_share")
    )
    share_class = given.state(class_stream(state, fact.share_class))
    if share_class.exists:
        yield from share_class.issuable(entry)
        what = f"what is authorised of class {fact.share_class} and not issued"
        shares = decimal_from_message(fact.shares)
        yield from share_class.unissued.too_early(entry, shares, what, "shares")
    elif state.party(Role.ROLE_ISSUER):
        yield unknown("share_class", "share class of the issuer", fact.share_class)


def class_stream(state: Agreement, share_class: str) -> str:
    """Return the stream of a class of the agreement's issuer."""
    return f"issuers/{state.party(Role.ROLE_ISSUER)}/shareClasses/{share_class}"


def issuance_links(state: Agreement, entry: Entry) -> list[str]:
    """Return the stream of the class that EquitySharesIssued counts against."""
    return [class_stream(state, entry.fact.share_class)]


def rescission_links(state: Agreement, entry: Entry) -> list[str]:
    """Return the stream of the class that EquityIssuanceRescinded gives shares back to."""
    return [state.equity.issuances[entry.fact.security].class_stream]


def apply_issuance(state: Agreement, entry: Entry) -> None:
    """Fold EquitySharesIssued."""
    fact = entry.fact
    shares, held = decimal_from_message(fact.shares), DatedBalance()
    held.change(entry, shares)
    state.equity.issuances[fact.security] = Issuance(
        class_stream(state, fact.share_class),
        fact.price_per_share,
        fact.amount.currency_code,
        shares,
        held,
        minor(fact.amount),
    )


def decide_repurchase(state: Agreement, entry: Entry, _given: BookView) -> Violations:
    """Decide on SharesRepurchased: HR-INV-05."""
    yield from _outstanding(state, entry)
    issuance = state.equity.issuances.get(entry.fact.security)
    if issuance is not None:
        document = f"issuance {entry.fact.security}"
        yield from same_currency(entry.fact.amount, "amount", issuance.currency, document)


def decide_rescission(state: Agreement, entry: Entry, given: BookView) -> Violations:
    """Decide on EquityIssuanceRescinded: HR-INV-05, and HR-INV-06 at the price of the issuance."""
    yield from decide_repurchase(state, entry, given)
    fact = entry.fact
    issuance = state.equity.issuances.get(fact.security)
    if issuance is None or fact.amount.currency_code != issuance.currency:
        return
    shares = decimal_from_message(fact.shares)
    what = f"the outstanding shares of {fact.security}"
    yield from issuance.held.too_early(entry, shares, what, "shares")
    price = (issuance.price_per_share, "security")
    yield from amount_of_shares(fact.amount, "amount", fact.shares, price)
    yield from at_most(
        Rule.INV_05,
        "amount",
        minor(fact.amount),
        issuance.remaining_minor,
        f"what remains of issuance {fact.security}",
        f"minor units of {issuance.currency}",
    )


def _outstanding(state: Agreement, entry: Entry) -> Violations:
    fact = entry.fact
    shares = decimal_from_message(fact.shares)
    if shares <= 0:
        yield Violation(Rule.FIELD_INVALID, "shares", "must be more than 0")
    issuance = state.equity.issuances.get(fact.security)
    if issuance is None:
        yield unknown("security", "security", fact.security)
        return
    what = f"the outstanding shares of {fact.security}"
    yield from at_most(Rule.INV_05, "shares", shares, issuance.outstanding, what, "shares")


def apply_repurchase(state: Agreement, entry: Entry) -> None:
    """Fold SharesRepurchased."""
    issuance = state.equity.issuances.get(entry.fact.security)
    if issuance is None:
        state.equity.missing(f"security {entry.fact.security}")
    else:
        shares = decimal_from_message(entry.fact.shares)
        issuance.outstanding -= shares
        issuance.held.change(entry, -shares)


def apply_rescission(state: Agreement, entry: Entry) -> None:
    """Fold EquityIssuanceRescinded."""
    apply_repurchase(state, entry)
    issuance = state.equity.issuances.get(entry.fact.security)
    if issuance is not None:
        issuance.remaining_minor -= minor(entry.fact.amount)


def decide_transfer(state: Agreement, entry: Entry, _given: BookView) -> Violations:
    """Decide on SharesTransferred."""
    yield from different(entry.fact, "from_party", "to_party")
    yield from _outstanding(state, entry)


def apply_transfer(state: Agreement, entry: Entry) -> None:
    """Fold SharesTransferred: who holds shares does not change how many there are."""
    if entry.fact.security not in state.equity.issuances:
        state.equity.missing(f"security {entry.fact.security}")


def decide_return(state: Agreement, entry: Entry, _given: BookView) -> Violations:
    """Decide on CapitalReturned: HR-INV-03."""
    fact = entry.fact
    yield from different(fact, "payer", "payee")
    contribution = state.equity.contributions.get(fact.contribution)
    if contribution is None:
        yield unknown("contribution", "contribution", fact.contribution)
        return
    document = f"contribution {fact.contribution}"
    yield from same_currency(fact.amount, "amount", contribution.currency, document)
    if contribution.remaining_minor is not None:
        yield from at_most(
            Rule.INV_03,
            "amount",
            minor(fact.amount),
            contribution.remaining_minor,
            f"what remains of {document}",
            f"minor units of {fact.amount.currency_code}",
        )


def apply_return(state: Agreement, entry: Entry) -> None:
    """Fold CapitalReturned."""
    contribution = state.equity.contributions.get(entry.fact.contribution)
    if contribution is None:
        state.equity.missing(f"contribution {entry.fact.contribution}")
    elif contribution.remaining_minor is not None:
        contribution.remaining_minor -= minor(entry.fact.amount)


class ShareClass:
    """State of the stream issuers/{issuer}/shareClasses/{share_class}.

    Issuances and what takes them back are recorded under their agreement and linked here.
    """

    def __init__(self) -> None:
        self.exists = False
        self.authorised = Decimal(0)
        self.issued = Decimal(0)
        self.unissued = DatedBalance()
        self.non_voting = False

    def issuable(self, entry: Entry) -> Violations:
        """Yield violations of issuing shares of the class."""
        fact = entry.fact
        yield from at_most(
            Rule.INV_04,
            "shares",
            self.issued + decimal_from_message(fact.shares),
            self.authorised,
            f"what is authorised of class {fact.share_class}, counting what is issued already",
            "shares",
        )
        yield from _votes(fact, non_voting=self.non_voting)

    def invariants(self) -> Violations:
        """Yield what must hold and does not."""
        what = "what is authorised of the class"
        yield from at_most(Rule.INV_04, "position", self.issued, self.authorised, what, "shares")
        if self.unissued.lowest() < 0:
            message = "more of the class is issued on a day than was authorised by then"
            yield Violation(Rule.TIME_02, "position", message)


def decide_share_class(_state: ShareClass, entry: Entry, _given: BookView) -> Violations:
    """Decide on ShareClassAuthorised: HR-INV-07."""
    if decimal_from_message(entry.fact.authorised_shares) <= 0:
        yield Violation(Rule.FIELD_INVALID, "authorised_shares", "must be more than 0")
    yield from _votes(entry.fact, non_voting=entry.fact.non_voting)


def _votes(fact: object, *, non_voting: bool) -> Violations:
    votes = fact.votes_per_share  # type: ignore[attr-defined]
    if non_voting and votes.value and decimal_from_message(votes) > 0:
        message = f"is {votes.value}, but the class carries no vote"
        yield Violation(Rule.INV_07, "votes_per_share", message, {"votes": votes.value})


def apply_share_class(state: ShareClass, entry: Entry) -> None:
    """Fold ShareClassAuthorised."""
    state.exists = True
    authorised = decimal_from_message(entry.fact.authorised_shares)
    state.authorised += authorised
    state.unissued.change(entry, authorised)
    state.non_voting = entry.fact.non_voting


def apply_class_issuance(state: ShareClass, entry: Entry) -> None:
    """Fold EquitySharesIssued into the class of the shares."""
    shares = decimal_from_message(entry.fact.shares)
    state.issued += shares
    state.unissued.change(entry, -shares)


def apply_class_taken_back(state: ShareClass, entry: Entry) -> None:
    """Fold EquityIssuanceRescinded into the class of the shares."""
    shares = decimal_from_message(entry.fact.shares)
    state.issued -= shares
    state.unissued.change(entry, shares)
