"""The catalogue of rules that refuse, and the value that a refusal is.

Codes HR-* are the hard rules of the domain. The others are about the form of a request.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What a caller has to do about a refusal."""

    MALFORMED = "malformed"
    """Correct the request: it could not be accepted in any book."""
    PRECONDITION = "precondition"
    """A rule of the domain stands against it in this book, as it is now."""
    DUPLICATE = "duplicate"
    """What it brings is already there."""
    CONFLICT = "conflict"
    """The caller's view was outdated: read again, decide again."""


class Rule(Enum):
    """A rule that can refuse: its code, what a refusal means, what the rule says."""

    FIELD_REQUIRED = ("FIELD_REQUIRED", Kind.MALFORMED, "a required field is missing")
    FIELD_INVALID = ("FIELD_INVALID", Kind.MALFORMED, "a field does not have the form it must have")
    FACT_REQUIRED = ("FACT_REQUIRED", Kind.MALFORMED, "an event holds exactly one fact")
    FACT_RESERVED = ("FACT_RESERVED", Kind.MALFORMED, "facts of this type are the ledger's own")
    EVENT_TOO_LARGE = ("EVENT_TOO_LARGE", Kind.MALFORMED, "an event is at most 65,535 bytes")
    BATCH_SIZE = ("BATCH_SIZE", Kind.MALFORMED, "a request brings 1 to 1000 facts")
    RECORDED_TIME = (
        "RECORDED_TIME",
        Kind.PRECONDITION,
        "an imported book takes a recorded time that never decreases; another book takes none",
    )
    STREAM_STOPPED = (
        "STREAM_STOPPED",
        Kind.CONFLICT,
        "a request in sequence follows requests of its stream that are all recorded",
    )
    ID_01 = ("HR-ID-01", Kind.DUPLICATE, "a request id is used for one content only")
    ID_02 = ("HR-ID-02", Kind.DUPLICATE, "a document is recorded once")
    ID_03 = ("HR-ID-03", Kind.PRECONDITION, "what a fact refers to is in the book")
    ID_04 = ("HR-ID-04", Kind.MALFORMED, "a Legal Entity Identifier has the form of ISO 17442")
    ID_05 = ("HR-ID-05", Kind.MALFORMED, "the two sides are different legal entities")
    TYPE_01 = (
        "HR-TYPE-01",
        Kind.MALFORMED,
        "an amount is positive, exact and at most 10^17 minor units",
    )
    TYPE_02 = (
        "HR-TYPE-02",
        Kind.PRECONDITION,
        "an amount is in the currency of its document, or states the conversion",
    )
    TYPE_03 = ("HR-TYPE-03", Kind.MALFORMED, "power and GPUs state the basis they are counted on")
    TIME_01 = (
        "HR-TIME-01",
        Kind.PRECONDITION,
        "only a PLAN is dated more than a day after it is recorded",
    )
    TIME_02 = (
        "HR-TIME-02",
        Kind.PRECONDITION,
        "a decision takes nothing that was not there on its own day, or is gone on a later one",
    )
    SEQ_01 = ("HR-SEQ-01", Kind.CONFLICT, "a stream is as the caller expects it")
    STATE_01 = ("HR-STATE-01", Kind.PRECONDITION, "the subject is in a state that allows the fact")
    AUTH_01 = (
        "HR-AUTH-01",
        Kind.PRECONDITION,
        "maker and checker differ, and certifier and claimant",
    )
    REV_01 = ("HR-REV-01", Kind.PRECONDITION, "a reversal names an earlier entry")
    REV_02 = ("HR-REV-02", Kind.PRECONDITION, "an entry is reversed once")
    REV_03 = ("HR-REV-03", Kind.PRECONDITION, "a reversal is not itself reversed")
    REV_04 = ("HR-REV-04", Kind.PRECONDITION, "a reversal is for the full original, on its date")
    INV_01 = (
        "HR-INV-01",
        Kind.PRECONDITION,
        "capital is called under a binding agreement in force",
    )
    INV_02 = (
        "HR-INV-02",
        Kind.PRECONDITION,
        "all calls together stay within commitment and entitlement",
    )
    INV_03 = (
        "HR-INV-03",
        Kind.PRECONDITION,
        "a return is at most what remains of the contribution",
    )
    INV_04 = (
        "HR-INV-04",
        Kind.PRECONDITION,
        "issued shares stay within those authorised of the class",
    )
    INV_05 = (
        "HR-INV-05",
        Kind.PRECONDITION,
        "shares and amounts taken back are outstanding of that issuance",
    )
    INV_06 = ("HR-INV-06", Kind.MALFORMED, "0 <= amount - shares x price < one share price")
    INV_07 = ("HR-INV-07", Kind.PRECONDITION, "a class without votes has no votes per share")
    CAP_01 = ("HR-CAP-01", Kind.PRECONDITION, "certified capacity stays within what was claimed")
    PO_02 = ("HR-PO-02", Kind.PRECONDITION, "an order is not amended below what was received")
    PO_04 = ("HR-PO-04", Kind.PRECONDITION, "only units that are not received are cancelled")
    INVC_03 = ("HR-INVC-03", Kind.PRECONDITION, "a credit is at most what remains of the invoice")
    INVC_04 = ("HR-INVC-04", Kind.MALFORMED, "recoverable taxes are at most the amount")
    PAY_03 = ("HR-PAY-03", Kind.PRECONDITION, "a refund is at most what remains of the payment")
    WAR_01 = ("HR-WAR-01", Kind.PRECONDITION, "vested shares stay within those granted")
    WAR_02 = ("HR-WAR-02", Kind.PRECONDITION, "shares exercised are vested and exercisable")
    WAR_03 = ("HR-WAR-03", Kind.PRECONDITION, "a warrant is exercised before it has expired")

    def __init__(self, code: str, kind: Kind, statement: str) -> None:
        self.code = code
        self.kind = kind
        self.statement = statement


@dataclass(frozen=True, slots=True)
class Violation:
    """The violation of one rule by one field of a request.

    Attributes:
        rule: the rule.
        field: path of the field: within the fact, or within the request once it is refused.
        message: what is wrong, with the values that make it so.
        values: the same values for programs, by name.
    """

    rule: Rule
    field: str
    message: str
    values: Mapping[str, str] = dataclasses.field(default_factory=dict)


class Refused(Exception):  # noqa: N818 - the outcome has a name of its own in the domain
    """A request is refused whole. Nothing of it was recorded."""

    def __init__(self, violations: Sequence[Violation]) -> None:
        super().__init__("; ".join(f"{v.rule.code}: {v.message}" for v in violations))
        self.violations = tuple(violations)
