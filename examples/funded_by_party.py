"""Keep the cash that each party received up to date in a SQLite file, each event counted once.

Needs `pip install 'gigaledger[eventsourcing]'` and a ledger, such as `gigaledger up` runs. Stop it
whenever you like: it goes on where it was. For another book than "main", set GIGALEDGER_BOOK.

    python examples/funded_by_party.py funded.db
"""

from __future__ import annotations

import sys
from decimal import Decimal
from typing import Any

from eventsourcing.persistence import Tracking
from eventsourcing.projection import Projection, ProjectionRunner
from eventsourcing.sqlite import SQLiteDatastore, SQLiteTrackingRecorder
from gigaledger.client import amount_of
from gigaledger.client.eventsourcing import BookApplication, RecordedFact


class Main(BookApplication):
    """The book to follow. Tracking goes by the name of this class."""

    book = "main"


class FundedView(SQLiteTrackingRecorder):
    """Cash received by party and currency, in the database that tracks processed events."""

    def __init__(self, datastore: SQLiteDatastore, **kwargs: Any) -> None:
        super().__init__(datastore, **kwargs)
        self.create_table_statements.append(
            "CREATE TABLE IF NOT EXISTS funded"
            " (party TEXT, currency TEXT, amount TEXT, PRIMARY KEY (party, currency))"
        )

    def add(self, party: str, currency: str, amount: Decimal, tracking: Tracking) -> None:
        """Add an amount, and note in the same transaction that its event is counted."""
        total = self.totals().get((party, currency), Decimal(0)) + amount
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute("REPLACE INTO funded VALUES (?, ?, ?)", (party, currency, str(total)))

    def totals(self) -> dict[tuple[str, str], Decimal]:
        """Return the cash received by party and currency."""
        with self.datastore.transaction(commit=False) as cursor:
            cursor.execute("SELECT party, currency, amount FROM funded")
            return {(row[0], row[1]): Decimal(row[2]) for row in cursor.fetchall()}


class Funded(Projection[FundedView]):
    """Counts contributions of capital."""

    topics = ("capital_contribution_funded",)

    def process_event(self, recorded: RecordedFact, tracking: Tracking) -> None:
        """Count one."""
        fact = recorded.event.capital_contribution_funded
        self.view.add(fact.payee, fact.amount.currency_code, amount_of(fact.amount), tracking)


if __name__ == "__main__":
    with ProjectionRunner(
        application_class=Main,
        projection_class=Funded,
        view_class=FundedView,
        env={"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": sys.argv[1]},
    ) as runner:
        runner.run_forever()
