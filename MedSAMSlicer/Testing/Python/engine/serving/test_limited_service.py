"""The user's bound on memory reaches the engine."""

from __future__ import annotations

import pytest

from MedSAMSlicerLib.engine.environment import EMBEDDINGS_VARIABLE, embeddings_megabytes
from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.engine.serving.limited_service import LIMITED_SERVICE, limited_service
from MedSAMSlicerLib.engine.serving.worker import service_factory


@pytest.mark.parametrize(("text", "megabytes"), [("", 352), ("64", 64), ("0", 0)])
def test_the_variable_bounds_the_cache(text: str, megabytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EMBEDDINGS_VARIABLE, text)
    assert embeddings_megabytes() == megabytes
    assert limited_service()._cache.max_bytes == megabytes << 20


@pytest.mark.parametrize("text", ["-1", "many", "1.5", "²"])
def test_what_is_no_number_is_refused_with_advice(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EMBEDDINGS_VARIABLE, text)
    with pytest.raises(InputError, match="whole number of megabytes"):
        limited_service()


def test_the_worker_finds_it_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EMBEDDINGS_VARIABLE, "8")
    assert service_factory(LIMITED_SERVICE)()._cache.max_bytes == 8 << 20  # type: ignore[attr-defined]
