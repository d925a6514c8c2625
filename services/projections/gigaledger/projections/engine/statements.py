"""SQL over read models, in which names in braces stand for conditions on the header of a row."""

from __future__ import annotations

_RECORDED = "position <= %(position)s"
_KNOWN = f"({_RECORDED} AND (reversed_position IS NULL OR reversed_position > %(position)s))"
_COUNTED = (
    f"({_KNOWN} AND effective_date <= %(as_of_end)s AND assertion_status = ANY(%(statuses)s))"
)
_AFFECTED = (
    f"(position > %(before)s AND {_RECORDED}"
    " OR reversed_position > %(before)s AND reversed_position <= %(position)s)"
)


def statement(text: str, **parts: str) -> bytes:
    """Return a query with the names in braces replaced.

    These names are conditions on the header of a row. `{recorded}`: recorded by the position that
    is read. `{known}`: recorded and not reversed by then. `{counted}`: known, effective by the
    as-of date, and of a requested status. `{affected}`: recorded or reversed after the position
    `before`, up to the one that is read.

    Args:
        text: the query.
        parts: replacements of further names; may contain those conditions.
    """
    conditions = {
        "recorded": _RECORDED,
        "known": _KNOWN,
        "counted": _COUNTED,
        "affected": _AFFECTED,
    }
    for name, part in (parts | conditions).items():
        text = text.replace(f"{{{name}}}", part)
    return text.encode()
