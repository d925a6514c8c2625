"""The projections that there are. A new one is a folder and a line here."""

from __future__ import annotations

from services.projections.capacity.fold import CAPACITY
from services.projections.exceptions.fold import EXCEPTIONS
from services.projections.investment.fold import INVESTMENT
from services.projections.projection import Projection
from services.projections.round_trip.fold import ROUND_TRIP

PROJECTIONS: tuple[Projection, ...] = (CAPACITY, EXCEPTIONS, INVESTMENT, ROUND_TRIP)
"""In order of name."""
