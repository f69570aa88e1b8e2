"""Optuna's own contract for storages on both engines, and what it leaves open."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from optuna.testing.pytest_storages import StorageTestCase

from sweeper.record.storage import Storage


class TestOptunaContract(StorageTestCase):
    @pytest.fixture
    def storage(self, database_url: str) -> Iterator[Storage]:
        storage = Storage(database_url)
        yield storage
        storage.close()
