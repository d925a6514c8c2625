"""Pages of contributions in order of position, each read from the end of the one before it.

The time for a page thus depends only on its contents, however many contributions there are in all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gigaledger.common.grpc.paging import make_page_token, read_page_token
from gigaledger.projections.shared.line_items import Contribution, Contributions
from gigaledger.v1.projections_pb2 import ListContributionsRequest

MOST_ROWS = 8192
"""Most rows that are read at once. So many take some megabytes."""

SPARE = 4
"""A page looks at a quarter more rows than it lists: not each of them gives a contribution, and one
batch is sooner read than two."""

_PLACE = re.compile(r"([1-9][0-9]{0,17})-([1-9][0-9]{0,17})-([1-9][0-9]{0,4})-([1-9][0-9]{0,17})")


@dataclass(frozen=True, slots=True)
class PageStart:
    """Start of a page: after a number of contributions.

    Attributes:
        known_position: the state of knowledge of the first page; 0 for the first page itself.
        position: position of the event of the last contribution before it; 0 if there is none.
        listed_of_event: number of contributions of that event before it.
        listed: number of contributions before it.
    """

    known_position: int = 0
    position: int = 0
    listed_of_event: int = 0
    listed: int = 0

    def after(self, page: Sequence[Contribution], known_position: int) -> PageStart:
        """Return the start of the next page.

        Args:
            page: the contributions of this page, at least one.
            known_position: their state of knowledge.
        """
        position = page[-1].position
        of_event = sum(item.position == position for item in page)
        before = self.listed_of_event if position == self.position else 0
        return PageStart(known_position, position, before + of_event, self.listed + len(page))

    def token(self, request: ListContributionsRequest) -> str:
        """Return the token of the page for a request."""
        numbers = (self.known_position, self.position, self.listed_of_event, self.listed)
        return make_page_token("-".join(map(str, numbers)), request)


def page_start(request: ListContributionsRequest) -> PageStart:
    """Return the start of the requested page.

    Raises:
        InvalidArgumentError: not a token of this method, or one of another request.
    """
    if not request.page_token:
        return PageStart()
    return PageStart(*map(int, read_page_token(_PLACE, request.page_token, request).groups()))


async def read_page(
    contributions: Contributions, place: PageStart, size: int, total_count: int
) -> list[Contribution]:
    """Return the contributions of a page.

    Limits each fetch to the remaining contributions, because millions of rows that do not count may
    follow the last one that does. If most rows contribute nothing, batches double in size.

    Args:
        contributions: source of the contributions.
        place: start of the page.
        size: most contributions on it.
        total_count: number of contributions in all.
    """
    found = [item for item in contributions.few if item.position >= place.position]
    left = place.listed_of_event + max(0, total_count - place.listed)
    needed = min(place.listed_of_event + size, left)
    left_of_many = left - len(found)
    first_position, rows = place.position, min(_with_spare(needed), left_of_many)
    while contributions.many is not None and left_of_many > 0:
        rows = min(rows, MOST_ROWS)
        batch = await contributions.many.batch(first_position, rows)
        found += batch.contributions
        left_of_many -= len(batch.contributions)
        if batch.last_position is None:
            break
        reached = [item for item in found if item.position <= batch.last_position]
        if len(reached) >= needed:
            found = reached
            break
        first_position = batch.last_position + 1
        sparse = 2 * len(batch.contributions) < rows
        rows = 2 * rows if sparse else min(_with_spare(needed - len(reached)), left_of_many)
    found.sort(key=lambda item: (item.position, item.key, item.effective_date))
    return found[place.listed_of_event : needed]


def _with_spare(rows: int) -> int:
    return rows + rows // SPARE
