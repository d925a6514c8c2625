"""The projections that there are. A new one is a folder and a line here."""

from __future__ import annotations

from gigaledger.projections.capacity.fold import CAPACITY
from gigaledger.projections.engine.projection import Projection
from gigaledger.projections.exceptions.fold import EXCEPTIONS
from gigaledger.projections.investment.fold import INVESTMENT
from gigaledger.projections.trade.fold import ROUND_TRIP
from gigaledger.projections.warrants.fold import WARRANTS

PROJECTIONS: tuple[Projection, ...] = (CAPACITY, EXCEPTIONS, INVESTMENT, ROUND_TRIP, WARRANTS)
"""In order of name."""
