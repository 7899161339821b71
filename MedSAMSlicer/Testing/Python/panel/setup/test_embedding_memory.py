"""The memory of encoded slices is bounded and given back."""

from __future__ import annotations

import gc
import os
import weakref

import pytest

from MedSAMSlicerLib.engine.environment import embeddings_megabytes
from MedSAMSlicerLib.panel.setup import embedding_memory


class Keeper:
    def __init__(self) -> None:
        self.forgot = 0

    def forget_encoded_slices(self) -> None:
        self.forgot += 1


def test_everybody_who_lives_is_asked_to_forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding_memory, "_keepers", weakref.WeakSet())
    keeper, gone = Keeper(), Keeper()
    embedding_memory.register(keeper)
    embedding_memory.register(gone)
    del gone
    gc.collect()
    assert embedding_memory.forget_all() == 1
    assert keeper.forgot == 1


def test_processes_that_start_later_learn_of_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(embedding_memory.EMBEDDINGS_VARIABLE, "512")
    embedding_memory.limit_to(96)
    assert os.environ[embedding_memory.EMBEDDINGS_VARIABLE] == "96"
    assert embeddings_megabytes() == 96
