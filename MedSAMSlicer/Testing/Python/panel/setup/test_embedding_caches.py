"""The embedding caches of inference processes are limited and cleared."""

from __future__ import annotations

import gc
import os
import weakref

import pytest

from MedSAMSlicerLib.engine.environment import embeddings_megabytes
from MedSAMSlicerLib.panel.setup import embedding_caches


class Owner:
    def __init__(self, process: bool) -> None:
        self.cleared, self._process = 0, process

    def clear_embedding_cache(self) -> bool:
        self.cleared += 1
        return self._process


def test_the_cache_of_every_living_owner_is_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding_caches, "_owners", weakref.WeakSet())
    owner, without_process, gone = Owner(True), Owner(False), Owner(True)
    for one in (owner, without_process, gone):
        embedding_caches.register(one)
    del one, gone
    gc.collect()
    assert embedding_caches.clear_all() == 1, "one process"
    assert owner.cleared == without_process.cleared == 1


def test_processes_that_start_later_read_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(embedding_caches.EMBEDDINGS_VARIABLE, "512")
    embedding_caches.set_limit(96)
    assert os.environ[embedding_caches.EMBEDDINGS_VARIABLE] == "96"
    assert embeddings_megabytes() == 96
