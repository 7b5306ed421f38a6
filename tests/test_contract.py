"""The event store library's own contract suites, on our recorder and its real tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Thread
from time import sleep
from typing import Any

import pytest
from eventsourcing.persistence import StoredEvent
from eventsourcing.tests import persistence as contract  # as a module: its classes are not ours

from ledger_crm.store import Recorder, datastore


class OnAFreshLedger:
    """One database per recorder: the suites expect positions to begin at 1."""

    @pytest.fixture(autouse=True)
    def _databases(self, databases: Callable[[], str]) -> None:
        self.databases = databases

    def create_recorder(self) -> Recorder:
        return self.open(Recorder)

    def open(self, type_: type[Recorder]) -> Recorder:
        recorder = type_(datastore(self.databases(), connections=16))
        self.addCleanup(recorder.datastore.close)  # type: ignore[attr-defined]
        return recorder


class WithoutPositions(Recorder):
    """An aggregate recorder in the library's sense answers None, an application recorder the
    positions; ours is one class that is both, so the aggregate suite hears no positions."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **rest: Any) -> None:
        super().insert_events(stored_events, **rest)


class TestAsAggregateRecorder(OnAFreshLedger, contract.AggregateRecorderTestCase):
    def create_recorder(self) -> Recorder:
        return self.open(WithoutPositions)


class Polling(Recorder):
    """A subscription of the library sleeps for ever on an entry that is written between its first
    pull and its LISTEN. To us NOTIFY is a hint and polling is the truth, and so it is here."""

    def subscribe(self, *args: Any, **rest: Any) -> Any:
        subscription: Any = super().subscribe(*args, **rest)

        def poll() -> None:
            while not subscription._has_been_stopped:
                subscription._has_been_notified.set()
                sleep(0.05)

        Thread(target=poll, daemon=True).start()
        return subscription


class TestAsApplicationRecorder(OnAFreshLedger, contract.ApplicationRecorderTestCase[Recorder]):
    def create_recorder(self) -> Recorder:
        return self.open(Polling)

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestPositionsOfTwoAppendsDoNotInterleave(
    OnAFreshLedger, contract.NonInterleavingNotificationIDsBaseCase
):
    pass


def test_library_functions_that_drop_the_append_lock_are_refused(database: str) -> None:
    store = datastore(database, connections=2)
    try:
        store.enable_db_functions = True
        with pytest.raises(ValueError, match="POSTGRES_ENABLE_DB_FUNCTIONS"):
            Recorder(store)
    finally:
        store.close()
