"""Slices are encoded ahead of their need, and their memory can be had back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import slicer
import slicer.util


def test_slices_are_encoded_ahead_when_the_mouse_comes_into_a_view(effect_fixture: Any) -> None:
    link = effect_fixture.effect._controller.client
    asked: list[Any] = []
    encode = link.encode
    link.encode = lambda *arguments: (asked.append(arguments), encode(*arguments))[1]
    effect_fixture.host.user._send("Red", "EnterEvent", (200, 150), False, False)
    effect_fixture.host.wait_until(lambda: len(asked) > 3)
    effect_fixture.host.user.press("Red", effect_fixture.at("Red", -1))
    count = len(asked)
    effect_fixture.host.clock.advance(300)
    assert len(asked) <= count + 1


def test_who_draws_waits_for_no_more_than_the_one_slice_that_is_being_encoded(
    make_effect_fixture: Callable[[str], Any],
) -> None:
    effect_fixture = make_effect_fixture("support.effect_services:SlowEncodingService")
    voxels = slicer.util.arrayFromVolume(effect_fixture.volume)
    voxels[:, 0, 0] = np.arange(len(voxels))  # so that no slice is encoded with another
    slicer.util.arrayFromVolumeModified(effect_fixture.volume)
    link, user = effect_fixture.effect._controller.client, effect_fixture.host.user
    asked: list[Any] = []
    encode = link.encode
    link.encode = lambda *arguments: (asked.append(arguments), encode(*arguments))[1]
    user._send("Red", "EnterEvent", (200, 150), False, False)
    # The slice in view is encoded, and its neighbour under way.
    effect_fixture.host.wait_until(lambda: len(asked) == 2)
    user.press("Red", effect_fixture.at("Red", -1))
    user.move("Red", effect_fixture.at("Red", 1))
    effect_fixture.host.wait_until(lambda: effect_fixture.contouring.rectangle.image is not None)
    effect_fixture.host.clock.advance(600)
    user.release("Red", effect_fixture.at("Red", 1))
    effect_fixture.finish()
    assert len(asked) == 2


def test_the_memory_of_encoded_slices_can_be_given_back(effect_fixture: Any) -> None:
    from MedSAMSlicerLib.panel.setup import embedding_caches

    assert embedding_caches.clear_all() == 0, "no process was started"
    effect_fixture.drag()
    effect_fixture.host.wait_until(lambda: effect_fixture.effect._controller.client.idle)
    assert effect_fixture.effect._controller.client.transport is not None
    assert embedding_caches.clear_all() == 1
    assert effect_fixture.effect._controller.client.transport is None
    effect_fixture.drag(wait=False)
    assert embedding_caches.clear_all() == 1
    effect_fixture.finish()
    assert (effect_fixture.result() == effect_fixture.truth).all()
    effect_fixture.host.wait_until(lambda: effect_fixture.effect._controller.client.transport is None)


def test_clearing_waits_for_the_slice_under_way_and_for_no_other(make_effect_fixture: Callable[[str], Any]) -> None:
    """The mouse moves on meanwhile, so that there are slices to encode ahead."""
    effect_fixture = make_effect_fixture("support.effect_services:SlowEncodingService")
    voxels = slicer.util.arrayFromVolume(effect_fixture.volume)
    voxels[:, 0, 0] = np.arange(len(voxels))  # so that no slice is encoded with another
    slicer.util.arrayFromVolumeModified(effect_fixture.volume)
    controller, user = effect_fixture.effect._controller, effect_fixture.host.user
    asked: list[Any] = []
    encode = controller.client.encode
    controller.client.encode = lambda *arguments: (asked.append(arguments), encode(*arguments))[1]
    user._send("Red", "EnterEvent", (200, 150), False, False)
    effect_fixture.host.wait_until(lambda: len(asked) == 1 and not controller.client.idle)
    assert controller.clear_embedding_cache()
    effect_fixture.contouring.look_at(effect_fixture.contouring.state.view)
    effect_fixture.host.wait_until(lambda: controller.client.transport is None)
    assert len(asked) == 1
