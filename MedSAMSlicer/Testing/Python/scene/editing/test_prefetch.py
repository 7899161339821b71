"""Which slices are encoded ahead, in which order, and how many."""

from __future__ import annotations

import pytest

pytest.importorskip("slicer", reason="the scene layer needs Slicer's MRML (slicer-core)")
from MedSAMSlicerLib.scene.editing.prefetch import CACHE_SHARE, EMBEDDING_BYTES, PrefetchQueue  # noqa: E402


def queue_for(slices: int) -> PrefetchQueue:
    """A queue whose share of the cache has room for so many slices."""
    return PrefetchQueue(int(slices * EMBEDDING_BYTES / CACHE_SHARE))


def rest_of(queue: PrefetchQueue) -> list[int]:
    return [index for index in iter(queue.take, None) if index is not None]


def test_the_nearest_come_first_and_the_cache_is_not_filled() -> None:
    queue = queue_for(5)
    queue.look_at(10, 100)
    assert rest_of(queue) == [10, 11, 9, 12, 8]


def test_at_the_end_of_the_stack_there_is_only_one_side() -> None:
    queue = queue_for(4)
    queue.look_at(0, 3)
    assert rest_of(queue) == [0, 1, 2]


def test_moving_on_encodes_only_what_is_new() -> None:
    queue = queue_for(3)
    queue.look_at(10, 100)
    assert [queue.take(), queue.take()] == [10, 11]
    queue.look_at(11, 100)
    assert rest_of(queue) == [12]


def test_stop_is_at_once_and_forgetting_begins_anew() -> None:
    queue = queue_for(3)
    queue.look_at(10, 100)
    queue.take()
    queue.stop()
    assert queue.take() is None and len(queue) == 0
    queue.look_at(10, 100)
    assert len(queue) == 2
    queue.forget()
    queue.look_at(10, 100)
    assert len(queue) == 3


def test_a_cache_without_room_gets_nothing() -> None:
    queue = queue_for(0)
    queue.look_at(10, 100)
    assert queue.take() is None
