"""The data that Open Cap Format requires and a book does not hold, supplied by the user."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gigaledger.audit.export.manifest import ExportError

CLASS_TYPES = ("COMMON", "PREFERRED")
_COUNTRY = re.compile(r"[A-Z]{2}")
_NUMERIC = re.compile(r"[+-]?[0-9]+(\.[0-9]{1,10})?")


@dataclass(frozen=True, slots=True)
class ClassSupplement:
    """The supplement of a share class.

    Attributes:
        class_type: COMMON or PREFERRED.
        seniority: rank on liquidation, as a decimal number: a higher one is paid first.
    """

    class_type: str
    seniority: str


@dataclass(frozen=True, slots=True)
class Supplement:
    """The supplement of an issuer.

    Attributes:
        formation_date: when it was formed.
        country_of_formation: where, as ISO 3166-1 alpha-2.
        classes: by id of the class.
    """

    formation_date: dt.date
    country_of_formation: str
    classes: Mapping[str, ClassSupplement]

    def stock_class(self, name: str) -> ClassSupplement:
        """Return the supplement of a class.

        Raises:
            ExportError: it has none.
        """
        if name not in self.classes:
            raise ExportError(
                f"the supplement says nothing of the share class {name!r}: add it to stockClasses, "
                'as {"classType": "COMMON" or "PREFERRED", "seniority": "1"}'
            )
        return self.classes[name]


def read_supplement(path: Path) -> Supplement:
    """Read a supplement from a JSON file.

    Raises:
        ExportError: it can't be read, lacks something or holds something else.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ExportError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise ExportError(f"{path} is not JSON: {error}") from error
    stated = _object(found, f"{path}", {"formationDate", "countryOfFormation", "stockClasses"})
    try:
        formed = dt.date.fromisoformat(str(stated["formationDate"]))
    except ValueError:
        message = f"{path}: formationDate: {stated['formationDate']!r} is not a date: YYYY-MM-DD"
        raise ExportError(message) from None
    classes = stated["stockClasses"]
    if not isinstance(classes, dict):
        raise ExportError(f"{path}: stockClasses: must be an object, by id of the class")
    return Supplement(
        formed,
        _text(stated["countryOfFormation"], _COUNTRY, f"{path}: countryOfFormation", "two letters"),
        {name: _class(given, f"{path}: stockClasses.{name}") for name, given in classes.items()},
    )


def _class(given: Any, place: str) -> ClassSupplement:
    stated = _object(given, place, {"classType", "seniority"})
    if stated["classType"] not in CLASS_TYPES:
        raise ExportError(f"{place}.classType: must be one of {', '.join(CLASS_TYPES)}")
    seniority = _text(stated["seniority"], _NUMERIC, f"{place}.seniority", "a decimal number")
    return ClassSupplement(stated["classType"], seniority)


def _object(given: Any, place: str, names: set[str]) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise ExportError(f"{place}: must be an object")
    for name in sorted(names ^ given.keys()):
        raise ExportError(f"{place}: {name} {'is missing' if name in names else 'is not known'}")
    return given


def _text(given: Any, pattern: re.Pattern[str], place: str, what: str) -> str:
    if not isinstance(given, str) or not pattern.fullmatch(given):
        raise ExportError(f"{place}: {given!r} is not {what}")
    return given
