"""Embeddings on disk: within their room, never half, never another's, and nothing is encoded twice."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from MedSAMSlicerLib.engine.environment import (
    CACHE_VARIABLE,
    EMBEDDINGS_DISK_VARIABLE,
    child_environment,
    embeddings_disk_megabytes,
)
from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.engine.inference.embedding_cache import EmbeddingCache
from MedSAMSlicerLib.engine.inference.embedding_store import EmbeddingStore, open_embedding_store
from support.shapes import textured_slice
from support.threshold_model import threshold_predictor

SIZE = 20 + 128 + 1024
"""Checksum, numpy's header and 256 numbers."""


def embedding(number: float = 0.0) -> np.ndarray:
    return np.full((4, 8, 8), number, np.float32)


def used_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*.embedding"))


def test_what_was_kept_is_found_by_another_cache(tmp_path: Path) -> None:
    EmbeddingCache(1 << 20, EmbeddingStore(tmp_path / "new", 10 * SIZE)).put("a", embedding(3))
    later = EmbeddingCache(1 << 20, EmbeddingStore(tmp_path / "new", 10 * SIZE))
    found = later.get("a")
    assert np.array_equal(found, embedding(3)) and found.dtype == np.float32


def test_a_second_run_on_the_same_slices_encodes_nothing(tmp_path: Path) -> None:
    image = textured_slice(40, 50, 1)
    for encoded in (1, 0):
        predictor = threshold_predictor(EmbeddingCache(1 << 20, EmbeddingStore(tmp_path, 1 << 20)))
        predictor.embed(image)
        assert predictor.timings.encoder_calls == encoded


def test_the_room_is_kept_to_the_byte_and_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    files = EmbeddingStore(tmp_path, 3 * SIZE)
    for n, key in enumerate("abc"):
        files.put(key, embedding(n))
        os.utime(tmp_path / f"{key}.embedding", (n, n))
    assert used_bytes(tmp_path) == 3 * SIZE
    assert files.get("a") is not None
    files.put("d", embedding())
    assert used_bytes(tmp_path) == 3 * SIZE
    assert [files.get(key) is not None for key in "abcd"] == [True, False, True, True]
    EmbeddingStore(tmp_path, 3 * SIZE - 1).put("e", embedding())
    assert used_bytes(tmp_path) == 2 * SIZE
    EmbeddingStore(tmp_path, SIZE - 1).put("f", embedding())
    assert files.get("f") is None, "larger than all there is room for"


@pytest.mark.parametrize("content", [b"", b"short", bytes(SIZE), b"\x93NUMPY" + bytes(2000)])
def test_damaged_and_foreign_files_are_removed_and_replaced(tmp_path: Path, content: bytes) -> None:
    files = EmbeddingStore(tmp_path, 10 * SIZE)
    files.put("a", embedding(1))
    (tmp_path / "a.embedding").write_bytes(content)
    assert files.get("a") is None and not (tmp_path / "a.embedding").exists()
    files.put("a", embedding(2))
    assert np.array_equal(files.get("a"), embedding(2))


def test_a_file_under_anothers_name_is_not_believed(tmp_path: Path) -> None:
    files = EmbeddingStore(tmp_path, 10 * SIZE)
    files.put("a", embedding(1))
    (tmp_path / "a.embedding").rename(tmp_path / "b.embedding")
    assert files.get("b") is None


def test_a_damaged_bit_is_noticed(tmp_path: Path) -> None:
    files = EmbeddingStore(tmp_path, 10 * SIZE)
    files.put("a", embedding(1))
    content = bytearray((tmp_path / "a.embedding").read_bytes())
    content[-7] ^= 1
    (tmp_path / "a.embedding").write_bytes(content)
    assert files.get("a") is None


def test_what_a_crash_left_is_removed_in_time_and_other_files_never(tmp_path: Path) -> None:
    for name in (".part-old", ".part-new", "notes.txt"):
        (tmp_path / name).write_text("half")
    past = time.time() - 7200
    os.utime(tmp_path / ".part-old", (past, past))
    files = EmbeddingStore(tmp_path, SIZE)
    files.put("a", embedding())
    files.clear()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".part-new", "notes.txt"]


def test_a_full_disk_keeps_nothing_and_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    cache = EmbeddingCache(1 << 20, EmbeddingStore(tmp_path, 10 * SIZE))
    cache.put("a", embedding(1))
    assert np.array_equal(cache.get("a"), embedding(1)), "it is in memory"
    assert not list(tmp_path.iterdir())


def test_two_processes_share_the_folder(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
import numpy as np
from MedSAMSlicerLib.engine.inference.embedding_store import EmbeddingStore
files = EmbeddingStore(Path(sys.argv[1]), 12 * 1172)
for n in range(150):
    key = str(n % 20)
    found = files.get(key)
    assert found is None or (found == n % 20).all(), key
    files.put(key, np.full((4, 8, 8), n % 20, np.float32))
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    both = [subprocess.Popen(command, env=child_environment(), stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        _out, complaint = process.communicate(timeout=120)
        assert process.returncode == 0 and not complaint, complaint
    assert used_bytes(tmp_path) <= 12 * SIZE
    assert all(path.name.endswith(".embedding") for path in tmp_path.iterdir())


def test_clearing_removes_them(tmp_path: Path) -> None:
    cache = EmbeddingCache(1 << 20, EmbeddingStore(tmp_path, 10 * SIZE))
    cache.put("a", embedding())
    cache.clear()
    assert not list(tmp_path.iterdir()) and cache.get("a") is None


def test_the_user_says_how_much_room_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.delenv(EMBEDDINGS_DISK_VARIABLE, raising=False)
    assert embeddings_disk_megabytes() == 0 and open_embedding_store(0) is None
    monkeypatch.setenv(EMBEDDINGS_DISK_VARIABLE, "2")
    files = open_embedding_store(embeddings_disk_megabytes())
    assert files is not None and (files.folder, files.max_bytes) == (tmp_path / "embeddings", 2 << 20)
    monkeypatch.setenv(EMBEDDINGS_DISK_VARIABLE, "much")
    with pytest.raises(InputError, match="MEDSAM_SLICER_EMBEDDINGS_DISK_MB is 'much'"):
        embeddings_disk_megabytes()
