"""Which slices are encoded ahead, in which order, and how many."""

from __future__ import annotations

import pytest

pytest.importorskip("slicer", reason="the scene layer needs Slicer's MRML (slicer-core)")
from MedSAMSlicerLib.scene.editing.pre_encode import CACHE_SHARE, EMBEDDING_BYTES, PreEncoder  # noqa: E402


def encoder(room_for: int) -> tuple[PreEncoder, list[int]]:
    encoded: list[int] = []
    return PreEncoder(encoded.append, int(room_for * EMBEDDING_BYTES / CACHE_SHARE)), encoded


def test_the_nearest_come_first_and_the_cache_is_not_filled() -> None:
    made, encoded = encoder(5)
    made.look_at(10, 100)
    while made.step():
        continue
    assert encoded == [10, 11, 9, 12, 8]


def test_at_the_end_of_the_stack_there_is_only_one_side() -> None:
    made, encoded = encoder(4)
    made.look_at(0, 3)
    while made.step():
        continue
    assert encoded == [0, 1, 2]


def test_moving_on_encodes_only_what_is_new() -> None:
    made, encoded = encoder(3)
    made.look_at(10, 100)
    made.step()
    made.step()
    made.look_at(11, 100)
    while made.step():
        continue
    assert encoded == [10, 11, 12]


def test_stop_is_at_once_and_forgetting_begins_anew() -> None:
    made, encoded = encoder(3)
    made.look_at(10, 100)
    made.step()
    made.stop()
    assert not made.step() and made.waiting == 0
    made.look_at(10, 100)
    assert made.waiting == 2
    made.forget()
    made.look_at(10, 100)
    assert made.waiting == 3
    assert encoded == [10]


def test_a_cache_without_room_gets_nothing() -> None:
    made, encoded = encoder(0)
    made.look_at(10, 100)
    assert not made.step() and encoded == []
