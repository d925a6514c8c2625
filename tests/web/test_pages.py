"""What pages show besides figures, and what they refuse."""

from __future__ import annotations

import datetime as dt
from uuid import uuid4

import httpx
import pytest
from gigaledger.cli.run.processes import free_addresses
from gigaledger.client import AsyncClient, RetryPolicy, connect_async, facts
from gigaledger.web.app import create_app

from tests.web.conftest import CORRECTIONS, PLAN, Books
from tests.web.figures import links_of_page

VIEWS = (
    "",
    "/capacity",
    "/investment",
    "/round-trip",
    "/circular-flows",
    "/exceptions",
    "/exceptions?all=yes",
    "/events",
    "/events/1",
    "/figures/investment.funded",
    "/figures/capacity.certified_kw",
    "/figures/round-trip.paid",
)
HOSTILE = "<script>alert('x')</script>\"'&{{ 7*7 }}<svg onload=alert(1)>"


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("state", ["", "as_of=2026-06-30", "as_known=1", "as_of=1900-01-01"])
async def test_every_view_of_an_empty_book(
    books: Books, page: httpx.AsyncClient, view: str, state: str
) -> None:
    path = f"/books/{books.empty}{view}"

    answer = await page.get(f"{path}{'&' if '?' in path else '?'}{state}")

    assert answer.status_code == 200, answer.text
    assert "<h1>" in answer.text


async def test_the_list_of_books(books: Books, page: httpx.AsyncClient) -> None:
    answer = await page.get("/")

    for name, book in books.by_example.items():
        assert f'<a href="/books/{book}">' in answer.text
        assert name in answer.text


async def test_every_link_of_a_book_leads_somewhere(books: Books, page: httpx.AsyncClient) -> None:
    """Two levels deep, from the overview of corrections."""
    start = f"/books/{books.by_example[CORRECTIONS]}"
    seen: set[str] = set()
    wanted = {start}
    for _ in range(2):
        found = set()
        for link in wanted - seen:
            answer = await page.get(link)
            assert answer.status_code == 200, link
            found |= {item for item in links_of_page(answer.text) if item.startswith("/")}
        seen |= wanted
        wanted = found
    for link in wanted - seen:
        assert (await page.get(link)).status_code == 200, link


async def test_texts_of_facts_are_not_markup(client: AsyncClient, page: httpx.AsyncClient) -> None:
    book = await client.create_book(f"b{uuid4().hex}", display_name=HOSTILE[:40])
    appended = await book.append(
        facts.party_registered(party="P", legal_name=HOSTILE),
        effective_date=dt.date(2026, 1, 1),
        status="FACT",
        note=HOSTILE,
        source_system=HOSTILE,
    )
    book_id = book.name.removeprefix("books/")

    shown = [
        await page.get(address)
        for address in (
            "/",
            f"/books/{book_id}",
            f"/books/{book_id}/events",
            f"/books/{book_id}/events/{appended.position}",
            f"/books/{book_id}/events?party={HOSTILE}",
            f"/books/{book_id}?as_known={HOSTILE}",
            f"/books/{book_id}/figures/{HOSTILE.replace('/', '')}",
            f"/books/{HOSTILE.replace('/', '')}",
        )
    ]

    for answer in shown:
        assert "<script>alert" not in answer.text
        assert "<svg onload" not in answer.text
        assert "49" not in answer.text.partition("alert(")[2][:40]
    assert "&lt;script&gt;alert" in shown[3].text


async def test_an_event_with_its_proof(books: Books, page: httpx.AsyncClient) -> None:
    book = books.by_example[PLAN]
    client_book = f"/books/{book}/events/40"

    async def sealed() -> str:
        return (await page.get(client_book)).text

    text = await sealed()
    while "Not sealed" in text:  # the sealer works in the background
        text = await sealed()

    assert "Capital call issued" in text
    assert "USD 10,000,000,000.00" in text
    assert "Sealed: the hash of these bytes" in text
    assert "leaf hash" in text


async def test_an_altered_proof_is_reported(
    books: Books, page: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the ledger sent other bytes than those that it sealed."""
    address = f"/books/{books.by_example[PLAN]}/events/40"
    while "Not sealed" in (await page.get(address)).text:
        pass
    monkeypatch.setattr("gigaledger.web.source.leaf_hash", lambda _bytes: bytes(32))

    text = (await page.get(address)).text

    assert "The proof does not hold" in text
    assert "gigaledger audit verify" in text


async def test_the_feed_goes_back_to_the_first_event(books: Books, page: httpx.AsyncClient) -> None:
    address = f"/books/{books.by_example[PLAN]}/events"
    positions: list[int] = []
    while address:
        text = (await page.get(address)).text
        links = links_of_page(text)
        positions += [
            int(link.rpartition("/")[2]) for link in links if "/events/" in link and "?" not in link
        ]
        address = next((link for link in links if "before=" in link), "")

    assert positions == list(range(95, 0, -1))


@pytest.mark.parametrize(
    ("query", "kept"),
    [("agreement=AGR-DA", "Capital call issued"), ("party=NVDA", "Party registered")],
)
async def test_the_feed_of_an_agreement_or_a_party(
    books: Books, page: httpx.AsyncClient, query: str, kept: str
) -> None:
    whole = await page.get(f"/books/{books.by_example[PLAN]}/events?before=1000")
    some = await page.get(f"/books/{books.by_example[PLAN]}/events?{query}")

    assert whole.status_code == some.status_code == 200
    assert kept in some.text
    assert "Rack SKU rated" not in some.text


@pytest.mark.parametrize(
    ("address", "status", "words"),
    [
        ("/nowhere", 404, "leads nowhere"),
        ("/books/no-such-book", 404, "list of books has all of them"),
        ("/books/{book}/events/9999", 404, "fewer events"),
        ("/books/{book}/events/zero", 400, "not a position"),
        ("/books/{book}?as_of=31.12.2026", 400, "such as 2026-12-31"),
        ("/books/{book}?as_known=yesterday", 400, "neither a position nor an instant"),
        ("/books/{book}?as_known=99999999999999999999", 400, "not a position"),
        ("/books/{book}?level=family", 400, "Use group or entity"),
        ("/books/{book}?as_known=5000", 400, "refuse the question"),
        ("/books/{book}/figures/no.figure", 400, "refuse the question"),
        ("/books/{book}/exceptions?rule=SX-NONE", 400, "refuse the question"),
        ("/static/x/app.py", 404, "leads nowhere"),
    ],
)
async def test_errors_are_pages_that_say_what_to_do(
    books: Books, page: httpx.AsyncClient, address: str, status: int, words: str
) -> None:
    answer = await page.get(address.format(book=books.by_example[PLAN]))

    assert answer.status_code == status, answer.text
    assert words in answer.text
    assert "Traceback" not in answer.text
    assert '<a href="/">' in answer.text


@pytest.fixture
def nobody() -> str:
    """An address at which nobody listens."""
    return free_addresses(1)[0]


@pytest.mark.parametrize("missing", ["ledger", "projections"])
async def test_services_that_are_not_reached(books: Books, nobody: str, missing: str) -> None:
    addresses = {
        "ledger": books.services.ledger.address,
        "projections": books.services.projections.address,
    } | {missing: nobody}
    async with connect_async(
        addresses["ledger"], projections=addresses["projections"], retry=RetryPolicy(seconds=0)
    ) as client:
        app, _ = create_app(client, **addresses)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://any") as browser:
            answer = await browser.get(f"/books/{books.empty}")

    assert answer.status_code == 503
    assert f"The {missing} can&#39;t be reached" in answer.text
    assert nobody in answer.text
    assert f"gigaledger health {missing}" in answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_nothing_but_reading_is_served(page: httpx.AsyncClient, method: str) -> None:
    answer = await page.request(method, "/")

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


async def test_head_is_answered_like_get_without_a_body(page: httpx.AsyncClient) -> None:
    answer = await page.head("/")

    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("address", ["/", "/nowhere", "/health"])
async def test_headers_that_protect_readers(page: httpx.AsyncClient, address: str) -> None:
    headers = (await page.get(address)).headers

    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe-inline" not in policy
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers


@pytest.mark.parametrize(
    ("host", "status"),
    [("page.test", 200), ("PAGE.TEST:8080", 200), ("evil.example", 421), ("[::1", 421)],
)
async def test_other_host_names_are_refused(
    page: httpx.AsyncClient, host: str, status: int
) -> None:
    answer = await page.get("/", headers={"Host": host})

    assert answer.status_code == status


async def test_assets_are_kept_by_browsers_until_they_change(page: httpx.AsyncClient) -> None:
    text = (await page.get("/")).text
    [style] = [part.split('"')[0] for part in text.split('href="')[1:] if "style.css" in part]

    answer = await page.get(style)

    assert answer.headers["content-type"].startswith("text/css")
    assert "immutable" in answer.headers["cache-control"]


async def test_a_first_view_is_small(books: Books, page: httpx.AsyncClient) -> None:
    """Page, style and script together, as they are sent."""
    text = await page.get(f"/books/{books.by_example[PLAN]}", headers={"Accept-Encoding": "gzip"})
    sizes = [int(text.headers["content-length"])]
    for asset in ("style.css", "live.js", "icon.svg"):
        answer = await page.get(f"/static/x/{asset}", headers={"Accept-Encoding": "gzip"})
        sizes.append(int(answer.headers["content-length"]))

    assert sum(sizes) < 40_000
