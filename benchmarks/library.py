"""The eventsourcing library as its tutorial uses it: a peer on the same PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.conninfo import conninfo_to_dict

from benchmarks.stage import Stage


class Order(Aggregate):
    """A purchase order on which goods are received."""

    @event("Placed")
    def __init__(self, quantity: int) -> None:
        self.quantity = quantity
        self.received = 0

    @event("Received")
    def receive(self, quantity: int) -> None:
        """Receive goods."""
        self.received += quantity


class Orders(Application[UUID]):
    """Keeps orders."""


class Receipts(Projection[PostgresTrackingRecorder]):
    """Records its position and does nothing else with an event."""

    def process_event(self, _domain_event: Any, tracking: Tracking) -> None:
        """Record the position of an event."""
        self.view.insert_tracking(tracking)


class View(PostgresTrackingRecorder):
    """A view without tables of its own."""


@contextmanager
def orders(stage: Stage) -> Iterator[Orders]:
    """Run the application on a database of its own."""
    application = Orders(_environment(stage))
    try:
        yield application
    finally:
        application.close()


def append(application: Orders, events: int) -> None:
    """Save an order with the given number of events."""
    order = Order(quantity=events)
    for _ in range(events - 1):
        order.receive(1)
    application.save(order)


def projected_per_second(stage: Stage, seconds: float) -> float:
    """Return the events per second that the library's projection runner processes."""
    environment = _environment(stage)
    with Orders(environment) as application:
        for _ in range(5 * int(seconds) + 5):
            append(application, 1000)
    with ProjectionRunner(
        application_class=Orders, projection_class=Receipts, view_class=View, env=environment
    ) as runner:
        started = time.perf_counter()
        time.sleep(seconds)
        reached = runner.projection.view.max_tracking_id(Orders.name) or 0
        return reached / (time.perf_counter() - started)


def _environment(stage: Stage) -> dict[str, str]:
    parts = conninfo_to_dict(stage.new_database())
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(parts["dbname"]),
        "POSTGRES_HOST": str(parts["host"]),
        "POSTGRES_PORT": str(parts.get("port") or 5432),
        "POSTGRES_USER": str(parts["user"]),
        "POSTGRES_PASSWORD": str(parts.get("password") or "none"),
        "POSTGRES_POOL_SIZE": "8",
        "POSTGRES_MAX_OVERFLOW": "64",
    }
