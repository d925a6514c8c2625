"""The web application: addresses, pages, errors, and what browsers are allowed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import structlog
from gigaledger.client import (
    AsyncClient,
    GigaledgerError,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
)
from gigaledger.client.calls import book_name
from gigaledger.web import formats, pages
from gigaledger.web.live import Live, Rendered, Updates
from gigaledger.web.source import Source, UnreachableError, list_books
from gigaledger.web.view import ParameterError, View, position_of, view_of
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")
_HERE = Path(__file__).parent
_STATIC_TYPES = {
    "style.css": "text/css",
    "live.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_TABS = (
    ("Overview", "", pages.overview),
    ("Capacity", "capacity", pages.capacity_page),
    ("Investment", "investment", pages.investment_page),
    ("Round trip", "round-trip", pages.round_trip_page),
    ("Circular flows", "circular-flows", pages.circular_flows_page),
    ("Exceptions", "exceptions", pages.exceptions_page),
    ("Events", "events", pages.events_page),
)
_HEALTH = "/health"
_LIVE = "min_position"
"""The parameter that the script adds when it updates a page."""
_log = structlog.get_logger("gigaledger")


@dataclass(frozen=True)
class Problem:
    """An error as a page.

    Attributes:
        status: of HTTP.
        title: what is wrong, in a few words.
        text: what is wrong.
        advice: what to do.
    """

    status: int
    title: str
    text: str
    advice: str


class Guard:
    """Adds headers to all answers, and refuses what the page does not serve."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        request = Request(scope)
        if request.method not in {"GET", "HEAD"}:
            refused: ASGIApp = PlainTextResponse(
                "This page only shows. Facts are appended over gRPC.\n",
                405,
                {"Allow": "GET, HEAD"},
            )
        elif (
            self._hosts
            and request.url.path != _HEALTH
            and _host_of(request.headers.get("host", "")) not in self._hosts
        ):
            refused = PlainTextResponse(
                "The Host header names a host that this page is not served for. "
                "GIGALEDGER_WEB_HOSTS lists those that it is.\n",
                421,
            )
        else:
            refused = self._app
        await refused(scope, receive, guarded)


class Site:
    """Answers requests."""

    def __init__(self, client: AsyncClient, ledger: str, projections: str) -> None:
        self.live = Live(client)
        self._updates = Updates()
        self._client = client
        self._addresses = {"ledger": ledger, "projections": projections}
        self._static = {name: (_HERE / "static" / name).read_bytes() for name in _STATIC_TYPES}
        versions = {n: hashlib.sha256(c).hexdigest()[:12] for n, c in self._static.items()}
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals["asset"] = lambda name: f"/static/{versions[name]}/{name}"
        self._templates.globals["formats"] = formats

    def routes(self) -> list[Route]:
        """Return the addresses."""
        found = [
            Route("/", self._books),
            Route(_HEALTH, self._health),
            Route("/static/{version}/{name}", self._asset),
            Route("/books/{book}/live", self._live, name="live"),
        ]
        found += [
            Route(f"/books/{{book}}/{path}" if path else "/books/{book}", self._page(title, make))
            for title, path, make in _TABS
        ]
        found += [
            Route("/books/{book}/events/{position}", self._page("Events", pages.event_page)),
            Route("/books/{book}/figures/{figure}", self._page("", pages.figure_page)),
        ]
        return found

    async def _books(self, request: Request) -> Response:
        try:
            books = await list_books(self._client)
        except (UnreachableError, GigaledgerError) as error:
            return self._problem(request, self._problem_of(error, ""))
        return HTMLResponse(self._templates.get_template("books.html").render(books=books))

    async def _health(self, _request: Request) -> Response:
        return PlainTextResponse("serving\n")

    async def _asset(self, request: Request) -> Response:
        content = self._static.get(request.path_params["name"])
        if content is None:
            raise HTTPException(404)
        return Response(
            content,
            media_type=_STATIC_TYPES[request.path_params["name"]],
            headers={"Cache-Control": "public, max-age=31536000, immutable"},
        )

    async def _live(self, request: Request) -> Response:
        try:
            after = position_of(request.query_params, "after")
        except ParameterError as error:
            return self._problem(request, self._problem_of(error, ""))
        events = self.live.events(request.path_params["book"], after)
        return StreamingResponse(events, media_type="text/event-stream")

    def _page(self, tab: str, make: pages.MakePage) -> Any:
        async def answer(request: Request) -> Response:
            try:
                view = view_of(request.path_params["book"], request.query_params)
            except ParameterError as error:
                return self._problem(request, self._problem_of(error, ""))
            parameters = {**request.query_params, **request.path_params}

            async def render() -> Rendered:
                return await self._rendered(request.url.path, tab, make, view, parameters)

            async def update() -> Rendered:
                started = time.monotonic()
                try:
                    return await render()
                finally:
                    self.live.updated(view.book, time.monotonic() - started)

            if not view.min_position:
                status, html = await render()
            else:
                others = [item for item in request.query_params.multi_items() if item[0] != _LIVE]
                address = f"{request.url.path}?{urlencode(others)}"
                status, html = await self._updates.rendered(address, view.min_position, update)
            return HTMLResponse(html, status)

        return answer

    async def _rendered(
        self, path: str, tab: str, make: pages.MakePage, view: View, parameters: pages.Parameters
    ) -> Rendered:
        try:
            page = await make(Source(self._client, view), view, parameters)
        except (ParameterError, UnreachableError, GigaledgerError) as error:
            problem = self._problem_of(error, view.book)
            return problem.status, self._text_of(path, problem)
        tabs = [
            (title, view.link(*([part] if part else [])), title == tab) for title, part, _ in _TABS
        ]
        template = self._templates.get_template("page.html")
        return 200, template.render(page=page, view=view, tabs=tabs, path=path)

    def _problem(self, request: Request, problem: Problem) -> Response:
        return HTMLResponse(self._text_of(request.url.path, problem), problem.status)

    def _text_of(self, path: str, problem: Problem) -> str:
        _log.info("page refused", path=path, status=problem.status, reason=problem.text)
        return self._templates.get_template("problem.html").render(problem=problem)

    def _problem_of(self, error: Exception, book: str) -> Problem:
        """Return what a person needs to know about an error."""
        match error:
            case ParameterError():
                return Problem(400, "The address can't be read", error.text, error.advice)
            case UnreachableError():
                address = self._addresses[error.service]
                return Problem(
                    503,
                    f"The {error.service} can't be reached",
                    f"No answer from {address} ({error.error.message}).",
                    f"Check that it runs: gigaledger health {error.service}. This page asks "
                    f"GIGALEDGER_{error.service.upper()}_ADDRESS. Then load the page again.",
                )
            case NotFoundError():
                return Problem(
                    404,
                    "There is nothing here",
                    error.message,
                    f"Check the address. {book_name(book) if book else 'The book'} may have "
                    "another id, or fewer events: the list of books has all of them.",
                )
            case InvalidArgumentError():
                return Problem(
                    400,
                    "The services refuse the question",
                    str(error),
                    "Correct the address, or start from the overview.",
                )
            case UnavailableError():
                return Problem(
                    503, "The answer is not ready", str(error), "Load the page again in a moment."
                )
        _log.error("page failed", error=str(error))
        return Problem(
            500, "The page can't be shown", str(error), "The log of the service has more."
        )

    async def on_http_error(self, request: Request, error: Exception) -> Response:
        """Answer an address that leads nowhere."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        return self._problem(
            request,
            Problem(
                status,
                "There is no such page",
                f"{request.url.path} leads nowhere.",
                "Start from the list of books.",
            ),
        )


def create_app(
    client: AsyncClient, *, ledger: str, projections: str, hosts: Sequence[str] = ()
) -> tuple[Starlette, Live]:
    """Return the application, and what wakes its open pages, which is to be closed first.

    Args:
        client: of the services.
        ledger: address of the ledger, for errors.
        projections: address of the projections, for errors.
        hosts: names that requests may address it by; any if empty.
    """
    site = Site(client, ledger, projections)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None, None]:
        yield
        site.live.close()

    app = Starlette(
        routes=site.routes(),
        middleware=[
            Middleware(Guard, hosts=[host.lower() for host in hosts]),
            Middleware(GZipMiddleware, minimum_size=1000, compresslevel=5),
        ],
        exception_handlers={HTTPException: site.on_http_error},
        lifespan=lifespan,
    )
    return app, site.live


def _host_of(header: str) -> str:
    """Return the host of a Host header, without its port."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""
