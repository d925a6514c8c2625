"""AppendEvents requests: checked for form, and converted for the writer."""

from __future__ import annotations

import datetime as dt
import hashlib
import re

from gigaledger.common.quantities import QuantityError, instant_from_message
from gigaledger.ledger.domain.book import MAX_EVENTS_PER_REQUEST, Check, Request
from gigaledger.ledger.domain.refusals import Refused, Rule, Violation
from gigaledger.ledger.domain.validation import malformed
from gigaledger.ledger.log.submissions import Future, Submission
from gigaledger.v1.ledger_pb2 import AppendEventsRequest, NewEvent, StreamCheck

_STREAM = re.compile(r"[A-Za-z0-9._:/-]{1,255}")
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")


def submission_of(request: AppendEventsRequest, future: Future) -> Submission[Future]:
    """Return the submission of a request.

    Args:
        request: the request.
        future: completed with the receipt.

    Raises:
        Refused: the request is malformed; every violation is named.
    """
    violations = _violations(request)
    if violations:
        raise Refused(violations)
    return Submission(
        Request(
            request_id=request.request_id,
            events=[new.event for new in request.events],
            recorded_times=[_recorded_time(new) for new in request.events],
            checks=[_check(check) for check in request.checks],
        ),
        content_hash(request),
        future,
        validate_only=request.validate_only,
    )


def content_hash(request: AppendEventsRequest) -> bytes:
    """Return the SHA-256 of the content that a request_id identifies (HR-ID-01).

    The canonical form is this server's deterministic serialization of the request without
    request_id and validate_only. The contract has no maps and unknown fields are refused, so the
    form depends on the values alone.
    """
    content = AppendEventsRequest()
    content.CopyFrom(request)
    content.ClearField("request_id")
    content.ClearField("validate_only")
    return hashlib.sha256(content.SerializeToString(deterministic=True)).digest()


def _violations(request: AppendEventsRequest) -> list[Violation]:
    found = []
    if not _REQUEST_ID.fullmatch(request.request_id):
        message = "must be 1 to 128 visible ASCII characters"
        found.append(Violation(Rule.FIELD_INVALID, "request_id", message))
    if not 1 <= len(request.events) <= MAX_EVENTS_PER_REQUEST:
        message = f"holds {len(request.events)} facts; must hold 1 to {MAX_EVENTS_PER_REQUEST}"
        found.append(Violation(Rule.BATCH_SIZE, "events", message))
        return found
    for index, new in enumerate(request.events):
        found += [
            Violation(v.rule, f"events[{index}].event.{v.field}", v.message, v.values)
            for v in malformed(new.event)
        ]
        if new.HasField("recorded_time"):
            try:
                instant_from_message(new.recorded_time)
            except QuantityError as error:
                field = f"events[{index}].recorded_time"
                found.append(Violation(Rule.FIELD_INVALID, field, str(error)))
    for index, check in enumerate(request.checks):
        if not _STREAM.fullmatch(check.stream):
            message = f"{check.stream!r} is not the name of a stream"
            found.append(Violation(Rule.FIELD_INVALID, f"checks[{index}].stream", message))
        if check.WhichOneof("expected") is None or check.version < 0:
            message = "must give the expected version, 0 or more, or whether the stream exists"
            found.append(Violation(Rule.FIELD_INVALID, f"checks[{index}].expected", message))
    return found


def _recorded_time(new: NewEvent) -> dt.datetime | None:
    return instant_from_message(new.recorded_time) if new.HasField("recorded_time") else None


def _check(check: StreamCheck) -> Check:
    if check.WhichOneof("expected") == "version":
        return Check(check.stream, check.version, None)
    return Check(check.stream, None, check.exists)
