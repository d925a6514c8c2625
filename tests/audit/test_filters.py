"""What filters give is held against what the bytes of events say."""

from __future__ import annotations

from collections import defaultdict

from gigaledger.audit.verify.filters import FilterQuery, Filters
from gigaledger.audit.verify.verification import Kind
from gigaledger.ledger.domain.refusals import Refused
from gigaledger.v1.events_pb2 import Event
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.audit.histories import EVENTS
from tests.facts import cancelled, claimed, definitive, parties, placed, received, reversed_entry
from tests.hypothesis_profiles import examples
from tests.instruments import (
    backstopped,
    bought_unsold,
    contributed,
    demanded,
    distributed,
    drawn,
    exercised,
    formed,
    granted,
    guaranteed,
    lapsed,
    leased,
    rent,
    repaid,
)
from tests.projections.log import Log, example

AGREEMENTS = st.sampled_from(["", "AGR"])
INSTRUMENTS = st.one_of(
    st.just(formed(agreement="AGR")),
    st.builds(lambda agreement: granted(agreement=agreement), AGREEMENTS),
    st.builds(lambda n: contributed(100, f"EQ-{n}"), st.integers(1, 3)),
    st.builds(lambda n, a: drawn(100, f"DRAW-{n}", agreement=a), st.integers(1, 3), AGREEMENTS),
    st.builds(lambda a: leased(agreement=a), AGREEMENTS),
    st.builds(lambda a: backstopped(agreement=a), AGREEMENTS),
    st.sampled_from(
        [
            *(bought_unsold(), demanded(), distributed(), exercised("40"), guaranteed()),
            *(lapsed(), rent(), repaid(50), cancelled(1)),
        ]
    ),
)
REVERSALS = st.integers(1, 60).map(reversed_entry)


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """A log of facts of all kinds; what the ledger refuses is not in it."""
    log = Log()
    log.append(*parties("SUP", "CUS", "THIRD"), definitive(), placed(), claimed())
    events: list[Event] = draw(
        st.lists(st.one_of(EVENTS, INSTRUMENTS, REVERSALS), min_size=15, max_size=60)
    )
    for event in events:
        try:
            log.append(event)
        except Refused:
            continue
    return log


def asked_of(log: Log) -> list[FilterQuery]:
    filters = Filters()
    for event in log.events:
        filters.add(event)
    return list(filters.query())


def by_columns(log: Log) -> dict[tuple[str, str], list[int]]:
    """What each filter gives by the columns that the ledger writes beside the bytes."""
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    for accepted in log.accepted:
        entry = accepted.entry
        values = [
            ("fact type", entry.kind),
            ("stream", entry.stream),
            ("effective date", entry.effective_date.isoformat()),
            *([("agreement", accepted.agreement)] if accepted.agreement else []),
            *(("party", party) for party in accepted.parties),
        ]
        for value in values:
            found[value].append(entry.position)
    return found


@settings(max_examples=examples(50), deadline=None)
@given(logs())
def test_an_honest_ledger_gives_what_the_bytes_say(log: Log) -> None:
    columns = by_columns(log)

    query = asked_of(log)

    assert {(one.name, one.value): list(one.positions) for one in query} == columns
    assert not [finding for one in query for finding in one.compare(list(one.positions))]


def test_what_is_left_out_and_what_does_not_belong_is_named() -> None:
    filters = Filters()
    for event in example("corrections"):
        filters.add(event)
    goods = next(one for one in filters.query() if one.value == "goods_received")
    first, *others = goods.positions

    [missing] = goods.compare(others)
    [foreign] = goods.compare([1, *goods.positions])
    [twice] = goods.compare([*goods.positions, others[-1]])

    assert (missing.position, missing.kind) == (first, Kind.FILTER)
    assert "fact type goods_received does not get event" in missing.message
    assert (foreign.position, foreign.kind) == (1, Kind.FILTER)
    assert "twice" in twice.message


def test_goods_concern_the_parties_of_their_order_while_it_stands() -> None:
    log = Log()
    log.append(*parties("SUP", "CUS"), placed(), received(1))

    party = {one.value: list(one.positions) for one in asked_of(log) if one.name == "party"}

    assert party == {"SUP": [2, 4, 5], "CUS": [3, 4, 5]}
