"""The page in Chromium: each view on a phone and on a large screen, live, without a fault."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest
from gigaledger.client import Book, Client, facts
from playwright.sync_api import Browser, Page, sync_playwright

from tests.processes import ServiceProcess
from tests.web.conftest import CORRECTIONS, PLAN, Books, started

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
MILLISECONDS = 20_000
SIZES = {"phone": (375, 812), "desk": (1440, 900)}
VIEWS = (
    "",
    "?as_of=2026-12-31",
    "/capacity",
    "/investment",
    "/round-trip",
    "/round-trip?level=entity",
    "/circular-flows",
    "/exceptions?all=yes",
    "/events",
    "/events/30",
    "/figures/investment.funded",
    "?as_of=nonsense",
)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@dataclass
class Visit:
    """An open tab, and what went wrong in it."""

    page: Page
    origin: str
    faults: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Record errors, and requests to others."""
        self.page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))
        self.page.on(
            "console",
            lambda message: (
                self.faults.append(f"console: {message.text}")
                if message.type in {"error", "warning"} and "400 (Bad Request)" not in message.text
                else None
            ),
        )
        self.page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith(self.origin)
                else self.faults.append(f"request: {request.url}")
            ),
        )


@pytest.fixture(scope="module")
def web(books: Books) -> Iterator[ServiceProcess]:
    """The page as a process."""
    with ExitStack() as processes:
        addresses = {
            "GIGALEDGER_LEDGER_ADDRESS": books.services.ledger.address,
            "GIGALEDGER_PROJECTIONS_ADDRESS": books.services.projections.address,
        }
        yield started("web", addresses, processes)


@pytest.fixture(scope="module")
def blocking(books: Books) -> Iterator[Client]:
    """A blocking client."""
    with books.connect() as client:
        yield client


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium, with a fresh profile."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(params=SIZES)
def visit(request: pytest.FixtureRequest, browser: Browser, web: ServiceProcess) -> Iterator[Visit]:
    """A tab of one size."""
    width, height = SIZES[request.param]
    context = browser.new_context(viewport={"width": width, "height": height})
    context.set_default_timeout(MILLISECONDS)
    visit = Visit(context.new_page(), f"http://{web.address}/")
    visit.watch()
    yield visit
    context.close()


@pytest.mark.parametrize("name", [PLAN, CORRECTIONS])
def test_each_view(visit: Visit, books: Books, name: str) -> None:
    for view in VIEWS:
        visit.page.goto(f"{visit.origin}books/{books.by_example[name]}{view}")
        width = visit.page.evaluate("document.documentElement.scrollWidth")
        assert width <= visit.page.viewport_size["width"], view  # type: ignore[index]
        assert visit.page.locator("h1").count() == 1, view
        for drawing in visit.page.locator("svg").all():
            assert drawing.get_attribute("role") == "img"
            assert drawing.get_attribute("aria-label")
        ids = visit.page.evaluate("[...document.querySelectorAll('[id]')].map((item) => item.id)")
        assert len(ids) == len(set(ids)), view
        labelled = "[...document.querySelectorAll('input, select')].every((i) => i.labels.length)"
        assert visit.page.evaluate(labelled), view
    assert visit.faults == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(visit: Visit, books: Books, scheme: str) -> None:
    """At least 4.5 to 1 between text and its background (WCAG 2.2, 1.4.3)."""
    visit.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    visit.page.goto(f"{visit.origin}books/{books.by_example[CORRECTIONS]}")
    poor = visit.page.evaluate("""() => {
        const channels = (text) => text.match(/[\\d.]+/g).map(Number);
        const light = (text) => {
            const [r, g, b] = channels(text).map((c) => c / 255).map(
                (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const behind = (item) => {
            const colour = getComputedStyle(item).backgroundColor;
            return channels(colour)[3] === 0 && item.parentElement
                ? behind(item.parentElement) : colour;
        };
        return [...document.querySelectorAll("body *")].filter((item) =>
            [...item.childNodes].some((node) => node.nodeType === 3 && node.data.trim())
        ).map((item) => {
            const style = getComputedStyle(item);
            const ink = item instanceof SVGElement ? style.fill : style.color;
            const [a, b] = [light(ink), light(behind(item))].sort((x, y) => y - x);
            return [item.textContent.trim().slice(0, 40), (a + 0.05) / (b + 0.05)];
        }).filter(([, ratio]) => ratio < 4.5);
    }""")
    assert poor == []


def test_the_keyboard_reaches_the_figures(visit: Visit, books: Books) -> None:
    visit.page.goto(f"{visit.origin}books/{books.by_example[PLAN]}")
    visit.page.keyboard.press("Tab")
    assert visit.page.evaluate("document.activeElement.textContent") == "Skip to the figures"

    visit.page.keyboard.press("Enter")
    assert visit.page.evaluate("document.activeElement.id") == "main"

    visit.page.keyboard.press("Tab")
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_function("document.querySelectorAll('main table').length > 0")
    assert visit.faults == []


def test_paper_shows_figures_alone(visit: Visit, books: Books) -> None:
    visit.page.emulate_media(media="print")
    visit.page.goto(f"{visit.origin}books/{books.by_example[PLAN]}")

    assert not visit.page.locator("nav").is_visible()
    assert not visit.page.locator("form").is_visible()
    assert visit.page.locator("svg").first.is_visible()


def test_another_state_of_the_book_is_a_form_away(visit: Visit, books: Books) -> None:
    visit.page.goto(f"{visit.origin}books/{books.by_example[PLAN]}")
    visit.page.get_by_label("As of").fill("2026-12-31")
    visit.page.get_by_role("button", name="Show").click()
    visit.page.wait_for_url("**as_of=2026-12-31**")

    visit.page.get_by_role("link", name="Capacity", exact=True).click()
    visit.page.wait_for_url("**/capacity?as_of=2026-12-31")
    assert visit.faults == []


def register(book: Book, name: str) -> int:
    return book.append(
        facts.party_registered(party=name, legal_name=f"{name} Inc."),
        effective_date=dt.date(2026, 1, 1),
        status="FACT",
    ).position


def test_an_append_shows_without_a_reload(visit: Visit, blocking: Client) -> None:
    book = blocking.create_book(f"b{uuid4().hex}")
    visit.page.goto(f"{visit.origin}{book.name}")
    visit.page.evaluate("window.sameDocument = true")
    for number in range(3):
        position = register(book, f"P{number}")
        visit.page.wait_for_selector(f"[data-position='{position}']", state="attached")
        visit.page.get_by_text(f"P{number} Inc.").wait_for()

    assert visit.page.evaluate("window.sameDocument")
    assert "Live" in visit.page.locator("#live").inner_text()
    assert visit.faults == []


def test_a_view_of_the_past_is_not_replaced(visit: Visit, blocking: Client) -> None:
    book = blocking.create_book(f"b{uuid4().hex}")
    position = register(book, "KNOWN")
    visit.page.goto(f"{visit.origin}{book.name}?as_known={position}")
    register(book, "LATER")

    assert visit.page.locator("script").count() == 0
    visit.page.reload()
    assert visit.page.get_by_text("KNOWN Inc.").count()
    assert not visit.page.get_by_text("LATER Inc.").count()


def test_live_goes_on_after_the_page_has_been_away(
    visit: Visit, blocking: Client, web: ServiceProcess
) -> None:
    book = blocking.create_book(f"b{uuid4().hex}")
    visit.page.goto(f"{visit.origin}{book.name}")
    web.terminate()
    visit.page.get_by_text("Not connected").wait_for()
    position = register(book, "MEANWHILE")
    web.restart()

    visit.page.wait_for_selector(f"[data-position='{position}']", state="attached")
    assert visit.page.get_by_text("MEANWHILE Inc.").count()


def test_a_picture_for_the_documentation(
    browser: Browser, web: ServiceProcess, books: Books, tmp_path: Path
) -> None:
    """GIGALEDGER_SCREENSHOTS=docs keeps it."""
    folder = Path(os.environ.get("GIGALEDGER_SCREENSHOTS") or tmp_path)
    context = browser.new_context(viewport={"width": 1200, "height": 900}, color_scheme="light")
    page = context.new_page()
    page.goto(f"http://{web.address}/books/{books.by_example[PLAN]}?as_of=2027-12-31")
    page.screenshot(path=folder / "web.png")
    context.close()

    assert (folder / "web.png").read_bytes().startswith(b"\x89PNG")
