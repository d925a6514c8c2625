"""Open Cap Format: the shares of an issuer, as tools of capitalisation tables read them."""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from gigaledger.audit.export.manifest import ExportError, write_export
from gigaledger.audit.export.ocf import OcfWriter
from gigaledger.audit.export.ocf_supplement import read_supplement
from gigaledger.ledger.domain.refusals import Refused
from gigaledger.v1.events_pb2 import Event, RecordedEvent
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from referencing import Registry, Resource

from tests.audit.test_figures import added
from tests.facts import authorised, definitive, fact, issued, money, number, parties
from tests.hypothesis_profiles import examples
from tests.projections.log import Log, example

SUPPLEMENT = {
    "formationDate": "2015-12-08",
    "countryOfFormation": "US",
    "stockClasses": {
        "COMMON": {"classType": "COMMON", "seniority": "1"},
        "NON_VOTING": {"classType": "PREFERRED", "seniority": "1"},
    },
}


def package(
    events: Sequence[RecordedEvent], folder: Path, issuer: str = "CUS", stated: Any = SUPPLEMENT
) -> dict[str, Any]:
    """Write a package, and return its files by name."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "supplement.json"
    file.write_text(json.dumps(stated), "utf-8")
    out = folder / "out"
    write_export(
        events,
        out,
        partial(OcfWriter, issuer=issuer, supplement=read_supplement(file)),
        export_format="ocf",
        book="books/main",
        version="0",
    )
    return {
        path.name.split(".")[0]: json.loads(path.read_text("utf-8"))
        for path in out.glob("*.ocf.json")
    }


def held(transactions: Sequence[dict[str, Any]]) -> dict[tuple[str, str], Decimal]:
    """Holdings of shares by class, by the rules of the format alone.

    An issuance opens a security. A security that is retracted, cancelled, repurchased or
    transferred is closed; the rest of it is issued as another one.
    """
    open_: dict[str, dict[str, Any]] = {}
    for one in transactions:
        if one["object_type"] == "TX_STOCK_ISSUANCE":
            assert one["security_id"] not in open_
            open_[one["security_id"]] = one
        elif "security_id" in one:
            closed = open_.pop(one["security_id"])
            taken = Decimal(one.get("quantity", closed["quantity"]))
            assert taken <= Decimal(closed["quantity"])
            assert ("balance_security_id" in one) == (taken < Decimal(closed["quantity"]))
    found: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for one in open_.values():
        found[one["stakeholder_id"], one["stock_class_id"]] += Decimal(one["quantity"])
    return dict(found)


def check_against_figures(events: Sequence[RecordedEvent], found: dict[str, Any]) -> None:
    figures = added(events).at()
    outstanding = sum(
        Decimal(str(figure.value))
        for key, figure in figures.items()
        if (key.section, key.name) == ("investment.total", "shares_outstanding")
    )
    assert sum(held(found["Transactions"]["items"]).values()) == outstanding


@pytest.mark.parametrize(
    ("name", "issuer"), [("nvidia-openai-plan", "OPENAI_GROUP"), ("corrections", "CUS")]
)
def test_shares_outstanding_are_those_of_the_figures(
    name: str, issuer: str, tmp_path: Path
) -> None:
    events = example(name)
    found = package(events, tmp_path, issuer)

    check_against_figures(events, found)
    for file in (one for name in found["Manifest"] if name.endswith("_files")
                 for one in found["Manifest"][name]):  # fmt: skip
        content = (tmp_path / "out" / file["filepath"]).read_bytes()
        assert hashlib.md5(content).hexdigest() == file["md5"]  # noqa: S324 - the format asks for it


def log_with(*changes: Event) -> list[RecordedEvent]:
    """A book in which CUS issues 100 shares to SUP, and more happens as far as it may."""
    log = Log()
    log.append(*parties("SUP", "CUS", "THIRD"), authorised("1000"), definitive(), issued("100"))
    for change in changes:
        try:
            log.append(change)
        except Refused:
            continue
    return log.events


def transferred(shares: str, giver: str, taker: str) -> Event:
    return fact("shares_transferred", agreement="AGR", security="SEC-1", from_party=giver,
                to_party=taker, shares=number(shares))  # fmt: skip


def rescinded(shares: str) -> Event:
    return fact("equity_issuance_rescinded", agreement="AGR", security="SEC-1",
                shares=number(shares), amount=money(int(shares) * 500))  # fmt: skip


def repurchased(shares: str) -> Event:
    return fact("shares_repurchased", agreement="AGR", security="SEC-1",
                shares=number(shares), amount=money(1000))  # fmt: skip


def test_a_part_that_changes_hands_and_a_part_that_is_taken_back(tmp_path: Path) -> None:
    events = log_with(transferred("30", "SUP", "THIRD"), rescinded("20"), repurchased("60"))

    found = package(events, tmp_path)

    assert held(found["Transactions"]["items"]) == {("THIRD", "COMMON"): Decimal(20)}
    assert [one["object_type"] for one in found["Transactions"]["items"]] == [
        "TX_STOCK_ISSUANCE",
        *("TX_STOCK_TRANSFER", "TX_STOCK_ISSUANCE", "TX_STOCK_ISSUANCE"),
        *("TX_STOCK_CANCELLATION", "TX_STOCK_ISSUANCE"),
        "TX_STOCK_REPURCHASE",
        *("TX_STOCK_REPURCHASE", "TX_STOCK_ISSUANCE"),
    ]
    assert [one["id"] for one in found["Stakeholders"]["items"]] == ["SUP", "THIRD"]


def test_what_is_rescinded_in_full_is_retracted(tmp_path: Path) -> None:
    found = package(log_with(rescinded("100")), tmp_path)
    assert found["Transactions"]["items"][-1]["object_type"] == "TX_STOCK_RETRACTION"
    assert held(found["Transactions"]["items"]) == {}


@settings(
    max_examples=examples(20),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    changes=st.lists(
        st.one_of(
            st.builds(lambda n: rescinded(str(n)), st.integers(1, 60)),
            st.builds(lambda n: repurchased(str(n)), st.integers(1, 60)),
            st.builds(lambda n: transferred(str(n), "SUP", "THIRD"), st.integers(1, 20)),
        ),
        max_size=6,
    )
)
def test_whatever_happens_to_shares_the_balance_is_that_of_the_figures(
    changes: list[Event], tmp_path_factory: pytest.TempPathFactory
) -> None:
    events = log_with(*changes)
    try:
        found = package(events, tmp_path_factory.mktemp("ocf"))
    except ExportError as error:
        # A holder gave away what he did not have: the book records it, and the format cannot.
        assert "shares of SUP, not" in str(error)  # noqa: PT017
        return
    check_against_figures(events, found)


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({**SUPPLEMENT, "formationDate": "2015"}, "formationDate: '2015' is not a date"),
        ({**SUPPLEMENT, "countryOfFormation": "USA"}, "'USA' is not two letters"),
        ({**SUPPLEMENT, "stockClasses": {}}, "nothing of the share class 'COMMON'"),
        ({**SUPPLEMENT, "stockClasses": {"COMMON": {"classType": "X", "seniority": "1"}}},
         "stockClasses.COMMON.classType: must be one of"),
        ({**SUPPLEMENT, "stockClasses": {"COMMON": {"classType": "X"}}}, "seniority is missing"),
        ({**SUPPLEMENT, "more": 1}, "more is not known"),
        ([], "must be an object"),
    ],
)  # fmt: skip
def test_a_supplement_that_is_not_enough(stated: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=words):
        package(log_with(), tmp_path, stated=stated)


def test_an_issuer_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no party 'NOBODY'"):
        package(log_with(), tmp_path, "NOBODY")


@pytest.mark.skipif(
    "GIGALEDGER_OCF_SCHEMAS" not in os.environ,
    reason="GIGALEDGER_OCF_SCHEMAS does not name the folder of the published schemas",
)
@pytest.mark.parametrize(
    ("name", "issuer"),
    [("nvidia-openai-plan", "OPENAI_GROUP"), ("corrections", "CUS"), ("", "CUS")],
)
def test_every_file_is_valid_under_the_published_schemas(
    name: str, issuer: str, tmp_path: Path
) -> None:
    changes = (transferred("30", "SUP", "THIRD"), rescinded("20"), repurchased("60"))
    events = example(name) if name else log_with(authorised("5"), *changes)
    schemas = [
        json.loads(path.read_text("utf-8"))
        for path in Path(os.environ["GIGALEDGER_OCF_SCHEMAS"]).rglob("*.schema.json")
    ]
    registry: Registry[Any] = Registry().with_resources(
        (schema["$id"], Resource.from_contents(schema)) for schema in schemas
    )
    by_type = {
        schema["properties"]["file_type"].get("const"): schema
        for schema in schemas
        if "file_type" in schema.get("properties", {})
    }
    for content in package(events, tmp_path, issuer).values():
        schema = by_type[content["file_type"]]
        errors = list(Draft7Validator(schema, registry=registry).iter_errors(content))
        assert not errors, errors[0]
