"""Runs of a contouring: which slices they go over, how they are ended, and what goes on between them."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import slicer

import bright_service
from MedSAMSlicerLib.scene.state.slice_range import set_reach_end
from MedSAMSlicerLib.scene.volume.view_plane import Plane
from support.desk import CountingService, Desk


def test_escape_during_the_run_drops_the_rectangle_that_began_it(desk: Desk) -> None:
    desk.draw(desk.view(7))
    before = desk.contouring.result
    desk.draw(desk.view(4), add=True, wait=False)
    assert desk.contouring.running
    assert desk.contouring.escape()
    desk.wait()
    assert list(desk.keys) == [7]
    assert desk.contouring.result is before
    assert (desk.contouring.kept.image.values.astype(bool) == desk.truth).all()


def test_only_what_lies_between_the_neighbours_of_a_change_is_run_again(desk: Desk, service: CountingService) -> None:
    for n, k in enumerate((4, 7, 10)):
        desk.draw(desk.view(k), add=n > 0)
    whole = desk.contouring.result
    service.computed.clear()
    desk.draw(desk.view(7), half=5)
    assert sorted(index + 4 for index in service.computed) == [4, 5, 6, 7, 8, 9, 10]
    changed = desk.contouring.result
    for index in (3, 4, 10, 11):
        assert (changed[index].mask == whole[index].mask).all()
    assert changed[7].mask.sum() < whole[7].mask.sum()
    service.computed.clear()
    desk.contouring.remove_key(10)
    desk.wait()
    assert min(index + 7 for index in service.computed) == 7
    assert (desk.contouring.result[5].mask == changed[5].mask).all()
    assert sorted(found.index for found in desk.contouring.result) == sorted(found.index for found in whole)


def test_another_window_or_model_makes_all_of_it_anew(desk: Desk, service: CountingService) -> None:
    desk.draw(desk.view(4))
    desk.draw(desk.view(10), add=True)
    service.computed.clear()
    desk.parameters.set("Window", "130,255")
    desk.draw(desk.view(7), add=True)
    assert len(service.computed) == len(desk.contouring.result)


def test_reach_of_one_slice(desk: Desk) -> None:
    desk.parameters.set("Reach", "slice")
    desk.draw(desk.view(7))
    assert desk.mask.any(axis=(1, 2)).nonzero()[0].tolist() == [7]
    desk.draw(desk.view(9), add=True)
    assert "choose another reach" in str(desk.contouring.problem)


def test_reach_from_slice_to_slice(desk: Desk) -> None:
    set_reach_end(desk.parameters, "ReachStart", 9, Plane("K"))
    desk.draw(desk.view(7))
    assert "From here" in str(desk.contouring.problem)
    set_reach_end(desk.parameters, "ReachEnd", 5, Plane("K"))
    desk.contouring.run()
    desk.wait()
    assert desk.mask.any(axis=(1, 2)).nonzero()[0].tolist() == [5, 6, 7, 8, 9]
    assert desk.contouring.progress is None
    desk.draw(desk.view(7, "coronal"))
    assert "another plane" in str(desk.contouring.problem)


def test_cancel_comes_fast_and_keeps_the_rectangle(desk_with: Callable[[str], Desk]) -> None:
    desk = desk_with("SlowService")
    desk.draw(desk.view(7), wait=False)
    desk.wait(lambda: desk.contouring.progress is not None and desk.contouring.progress.done > 1)
    begin = time.monotonic()
    desk.contouring.cancel()
    assert not desk.contouring.running
    desk.wait()
    assert time.monotonic() - begin < 0.5
    assert desk.contouring.result is None and desk.contouring.kept.image is None
    assert desk.contouring.problem is None
    assert list(desk.keys) == [7]
    desk.contouring.run()
    desk.wait()
    assert (desk.mask == desk.truth).all()


def test_a_rectangle_during_a_run_takes_its_place(desk_with: Callable[[str], Desk]) -> None:
    desk = desk_with("SlowService")
    desk.draw(desk.view(7), wait=False)
    desk.wait(lambda: desk.contouring.progress is not None and desk.contouring.progress.done > 1)
    desk.draw(desk.view(9), add=True)
    assert (desk.mask == desk.truth).all()
    assert list(desk.keys) == [7, 9]
    assert desk.results == 1


def test_a_process_that_dies_is_told_and_replaced(desk_with: Callable[[str], Desk]) -> None:
    desk = desk_with("DyingService")
    voxels = slicer.util.arrayFromVolume(desk.volume)
    voxels[9, 0, 0] = bright_service.SIGNAL
    desk.parameters.set("Window", "127.5,255")
    voxels[0, 0, 1], voxels[0, 0, 2] = 0, 255
    desk.volume.GetImageData().Modified()
    desk.draw(desk.view(7))
    assert "ended unexpectedly" in str(desk.contouring.problem)
    assert desk.contouring.result is None
    voxels[9, 0, 0] = 20
    desk.volume.GetImageData().Modified()
    desk.contouring.run()
    desk.wait()
    assert desk.contouring.problem is None and desk.contouring.result is not None


@pytest.mark.parametrize("what", ["segment", "segmentation", "volume", "scene"])
def test_what_leaves_the_scene_takes_its_result_with_it(desk: Desk, what: str) -> None:
    desk.draw(desk.view(7), wait=False)
    if what == "segment":
        desk.segmentation.GetSegmentation().RemoveSegment("tumour")
    elif what == "scene":
        desk.world.scene.Clear(0)
    else:
        desk.world.scene.RemoveNode(getattr(desk, what))
    desk.wait()
    assert desk.contouring.gone
    assert desk.contouring.result is None and desk.results == 0
    assert desk.contouring.problem is not None
    assert not desk.contouring.press(desk.view(7), (60, 60), False) if what != "scene" else True


def test_the_slices_around_the_view_are_encoded_while_nothing_is_to_be_done(
    desk: Desk, service: CountingService
) -> None:
    desk.contouring.look_at(desk.view(5))
    desk.wait(lambda: len(service.encoded) >= 3)
    desk.contouring.press(desk.view(5), (60, 60), False)
    encoded = len(service.encoded)
    for _ in range(20):
        desk.contouring.step()
    assert len(service.encoded) == encoded
    desk.contouring.escape()
    desk.parameters.set("EncodeAhead", "0")
    desk.contouring.look_at(desk.view(9))
    desk.wait()
    assert len(service.encoded) == encoded


def test_switched_off_while_slices_are_waiting_nothing_more_is_encoded(desk: Desk, service: CountingService) -> None:
    desk.contouring.look_at(desk.view(5))
    desk.wait(lambda: len(service.encoded) >= 1)
    desk.parameters.set("EncodeAhead", "0")
    encoded = len(service.encoded)
    desk.wait()
    # The one that was under way may still come.
    assert len(service.encoded) <= encoded + 1
