"""Questions to the projections and proofs, through both clients."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from gigaledger.client import (
    Book,
    Client,
    FailedPreconditionError,
    NotFoundError,
    RetryPolicy,
    UnavailableError,
    amount_of,
    connect,
    connect_async,
    queries,
)
from gigaledger.common.transparency.keys import new_key, write_keys
from gigaledger.v1.audit_pb2 import Checkpoint

from tests.client.test_facts import A_LIFE, DAY
from tests.log.books import until
from tests.postgres import PostgresServer
from tests.processes import RunningServices, ServiceProcess

YEAR_END = dt.date(2026, 12, 31)


@pytest.fixture(scope="module")
def client(shared_services: RunningServices) -> Iterator[Client]:
    """A client of both services."""
    with connect(
        shared_services.ledger.address,
        projections=shared_services.projections.address,
        actor="alice",
    ) as client:
        yield client


@pytest.fixture(scope="module")
def book(client: Client) -> Book:
    """A book in which everything has happened once."""
    book = client.create_book("life")
    for outcome in book.append_stream(book.request(f, effective_date=DAY) for f in A_LIFE):
        outcome.result()
    return book


async def test_all_questions(book: Book, shared_services: RunningServices) -> None:
    head = book.info().head_position
    investment = book.investment(agreement="AGR", as_of=YEAR_END, min_position=head, max_wait=30)
    assert investment.context.position == head
    (figures,) = investment.agreements
    assert amount_of(figures.funded.amount) == Decimal(900)

    capacity = book.capacity(min_position=head, max_wait=30, statuses=["FACT"])
    assert [one.power_basis for one in capacity.figures if one.certified_kw] == [1]
    earlier = book.capacity(as_known=3)
    assert (earlier.context.position, list(earlier.figures)) == (3, [])

    assert book.round_trip(level="ENTITY", min_position=head, max_wait=30).pairs
    assert book.circular_flows(min_position=head, max_wait=30).context.position == head
    assert [w.warrant for w in book.warrants(min_position=head, max_wait=30).warrants] == ["W"]

    pages = list(
        book.contributions(
            "investment.funded", about={"agreement": "AGR"}, page_size=1, min_position=head
        )
    )
    assert [amount for page in pages for amount in [c.amount for c in page.contributions]] == [
        "1000",
        "-100",
    ]
    assert {page.context.position for page in pages} == {head}
    for page in book.exceptions(page_size=5, min_position=head, max_wait=60):
        assert page.context.position == head

    rolled = book.roll_forward("investment.funded", from_date=DAY, to_date=YEAR_END)
    assert [period.closing for period in rolled.figures[0].periods][-1] == "900"
    reading = queries.reading(entitlement="PRO_RATA", latching="ON")
    (agreement,) = book.counterfactual(reading, agreement="AGR").agreements
    assert len(agreement.outcomes) == 1

    days = [
        answer.context.as_of.month
        for answer in book.series(
            queries.investment(), from_date=DAY, to_date=YEAR_END, interval="QUARTER"
        )
    ]
    assert days == [3, 6, 9, 12]
    changes = list(book.changes(queries.investment(agreement="AGR"), since=5))
    assert changes[-1].WhichOneof("part") == "total"

    status = book.projection("investment")
    assert status.position == head
    assert status.name in [one.name for one in book.projections()]
    with pytest.raises(FailedPreconditionError):
        book.resume_projection("investment")

    async with connect_async(
        shared_services.ledger.address, projections=shared_services.projections.address
    ) as client:
        same = client.book("life")
        assert await same.capacity(statuses=["FACT"], min_position=head) == capacity
        assert [p async for p in same.contributions("investment.funded", page_size=1)]
        assert [a async for a in same.series(queries.capacity(), from_date=DAY, to_date=DAY)]


def test_a_call_is_evaluated(book: Book) -> None:
    answer = book.evaluate_capital_call(agreement="AGR", tranches=[2])
    assert not answer.allowed


def test_a_projection_that_stays_behind(client: Client, book: Book) -> None:
    with connect(
        client.connection.settings.ledger_address,
        projections=client.connection.settings.projections_address,
        retry=RetryPolicy(seconds=0),
    ) as impatient:
        with pytest.raises(UnavailableError) as caught:
            impatient.book("life").capacity(min_position=10_000, max_wait=0.1)
        assert caught.value.reason == "PROJECTION_BEHIND"
    assert book.info().head_position < 10_000


def test_a_book_without_a_key_has_no_proofs(book: Book) -> None:
    for call in (book.checkpoint, lambda: book.inclusion_proof(1)):
        with pytest.raises(FailedPreconditionError) as caught:
            call()
        assert caught.value.reason == "NO_SIGNING_KEY"


def test_proofs(postgres_server: PostgresServer, tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_keys(path, [new_key("ledger.test")])
    with postgres_server.database() as url:
        ledger = ServiceProcess(
            "ledger", {"GIGALEDGER_DATABASE_URL": url, "GIGALEDGER_SIGNING_KEY": str(path)}
        )
        ledger.start()
        try:
            with connect(ledger.address, actor="alice") as client:
                book = client.create_book("main")
                book.append(A_LIFE[1], effective_date=DAY)
                latest = until(lambda: sealed(book, 2))
                (key,) = book.signing_keys()
                assert key.verifier_key.startswith("ledger.test/books/main+")
                assert latest == book.checkpoint(latest.size)
                assert latest.name in [one.name for one in book.checkpoints()]
                proof = book.inclusion_proof(2, latest.size)
                assert proof.size == latest.size
                hashes = book.leaf_hashes(latest.size).hashes
                assert hashes.endswith(proof.leaf_hash)
                assert book.consistency_proof(1).second_size == latest.size
        finally:
            ledger.kill()


def sealed(book: Book, size: int) -> Checkpoint | None:
    try:
        checkpoint = book.checkpoint()
    except NotFoundError:
        return None
    return checkpoint if checkpoint.size >= size else None
