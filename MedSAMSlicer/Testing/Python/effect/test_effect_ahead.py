"""Slices are encoded ahead of their need, and their memory can be had back."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import slicer
import slicer.util


def test_slices_are_encoded_ahead_when_the_mouse_comes_into_a_view(bench: Any) -> None:
    link = bench.effect._driver.link
    asked: list[Any] = []
    encode = link.encode
    link.encode = lambda *arguments: (asked.append(arguments), encode(*arguments))[1]
    bench.host.hands._send("Red", "EnterEvent", (200, 150), False, False)
    bench.host.wait_until(lambda: len(asked) > 3)
    bench.host.hands.press("Red", bench.at("Red", -1))
    count = len(asked)
    bench.host.clock.advance(300)
    assert len(asked) <= count + 1


def test_who_draws_waits_for_no_more_than_the_one_slice_that_is_being_encoded(
    bench_with: Callable[[str], Any],
) -> None:
    from effect_service import SECONDS_TO_ENCODE

    bench = bench_with("effect_service:SlowEncoder")
    voxels = slicer.util.arrayFromVolume(bench.volume)
    voxels[:, 0, 0] = np.arange(len(voxels))  # so that no slice is encoded with another
    slicer.util.arrayFromVolumeModified(bench.volume)
    link, hands = bench.effect._driver.link, bench.host.hands
    asked: list[Any] = []
    encode = link.encode
    link.encode = lambda *arguments: (asked.append(arguments), encode(*arguments))[1]
    hands._send("Red", "EnterEvent", (200, 150), False, False)
    # The slice in view is encoded, and its neighbour under way.
    bench.host.wait_until(lambda: len(asked) == 2)
    begin = time.monotonic()
    hands.press("Red", bench.at("Red", -1))
    hands.move("Red", bench.at("Red", 1))
    bench.host.wait_until(lambda: bench.contouring.rectangle.image is not None)
    assert time.monotonic() - begin < SECONDS_TO_ENCODE + 0.25
    bench.host.clock.advance(600)
    hands.release("Red", bench.at("Red", 1))
    bench.finish()
    assert len(asked) == 2


def test_the_memory_of_encoded_slices_can_be_given_back(bench: Any) -> None:
    from MedSAMSlicerLib.panel.setup import embedding_memory

    bench.drag()
    bench.host.wait_until(lambda: bench.effect._driver.link.idle)
    assert bench.effect._driver.link.transport is not None
    assert embedding_memory.forget_all() >= 1
    assert bench.effect._driver.link.transport is None
    bench.drag(wait=False)
    assert embedding_memory.forget_all() >= 1
    bench.finish()
    assert (bench.result() == bench.truth).all()
    bench.host.wait_until(lambda: bench.effect._driver.link.transport is None)
