"""Page tokens: each belongs to a question, whichever page of it is asked for."""

from __future__ import annotations

import hashlib
import re
from typing import TypeVar

from gigaledger.v1.projections_pb2 import ListContributionsRequest, QueryExceptionsRequest

_Paged = TypeVar("_Paged", ListContributionsRequest, QueryExceptionsRequest)


class PageTokenError(ValueError):
    """Not a token of this service, or one of another question."""


def token_of(place: str, request: _Paged) -> str:
    """Return the token of a place in the answer of a request."""
    return f"{place}-{_question_of(request)}"


def place_of(pattern: re.Pattern[str], request: _Paged) -> re.Match[str]:
    """Return the place that the token of a request stands for, as a pattern matches it.

    Raises:
        PageTokenError: not a token of this service, or one of another question.
    """
    place, _, question = request.page_token.rpartition("-")
    match = pattern.fullmatch(place)
    if match is None:
        raise PageTokenError("is not a token of this service")
    if question != _question_of(request):
        raise PageTokenError("belongs to another question: pages differ in page_size alone")
    return match


def _question_of(request: _Paged) -> str:
    """Return a digest of what is asked."""
    asked = type(request)()
    asked.CopyFrom(request)
    asked.ClearField("page_size")
    asked.ClearField("page_token")
    asked.read.ClearField("min_position")
    asked.read.ClearField("max_wait")
    return hashlib.sha256(asked.SerializeToString(deterministic=True)).hexdigest()[:16]
