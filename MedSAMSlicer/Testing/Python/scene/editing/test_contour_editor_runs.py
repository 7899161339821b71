"""Runs of a contouring: which slices they go over, how they are ended, and what goes on between them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import slicer
import vtk

from MedSAMSlicerLib.scene.state.slice_range import set_slice_range_end
from MedSAMSlicerLib.scene.volume.view_plane import Plane
from support import threshold_service
from support.contour_editor_fixture import ContourEditorFixture, CountingService
from support.frames import voxels


def test_escape_during_the_run_drops_the_rectangle_that_began_it(editor_fixture: ContourEditorFixture) -> None:
    editor_fixture.draw(editor_fixture.view(7))
    before = editor_fixture.contouring.result
    editor_fixture.draw(editor_fixture.view(4), add=True, wait=False)
    assert editor_fixture.contouring.running
    assert editor_fixture.contouring.mouse.escape()
    editor_fixture.wait()
    assert list(editor_fixture.keys) == [7]
    assert editor_fixture.contouring.result is before
    assert (editor_fixture.contouring.state.current.image.values.astype(bool) == editor_fixture.truth).all()


def test_only_what_lies_between_the_neighbours_of_a_change_is_run_again(
    editor_fixture: ContourEditorFixture, service: CountingService
) -> None:
    for n, k in enumerate((4, 7, 10)):
        editor_fixture.draw(editor_fixture.view(k), add=n > 0)
    whole = editor_fixture.contouring.result
    service.computed.clear()
    editor_fixture.draw(editor_fixture.view(7), half=5)
    assert sorted(index + 4 for index in service.computed) == [4, 5, 6, 7, 8, 9, 10]
    changed = editor_fixture.contouring.result
    for index in (3, 4, 10, 11):
        assert (changed[index].mask == whole[index].mask).all()
    assert changed[7].mask.sum() < whole[7].mask.sum()
    service.computed.clear()
    editor_fixture.contouring.remove_key(10)
    editor_fixture.wait()
    assert min(index + 7 for index in service.computed) == 7
    assert (editor_fixture.contouring.result[5].mask == changed[5].mask).all()
    assert sorted(found.index for found in editor_fixture.contouring.result) == sorted(found.index for found in whole)


def test_another_window_or_model_makes_all_of_it_anew(
    editor_fixture: ContourEditorFixture, service: CountingService
) -> None:
    editor_fixture.draw(editor_fixture.view(4))
    editor_fixture.draw(editor_fixture.view(10), add=True)
    service.computed.clear()
    editor_fixture.parameters.set("Window", "130,255")
    editor_fixture.draw(editor_fixture.view(7), add=True)
    assert len(service.computed) == len(editor_fixture.contouring.result)


def test_only_one_slice(editor_fixture: ContourEditorFixture) -> None:
    editor_fixture.parameters.set("Reach", "slice")
    editor_fixture.draw(editor_fixture.view(7))
    assert editor_fixture.mask.any(axis=(1, 2)).nonzero()[0].tolist() == [7]
    editor_fixture.draw(editor_fixture.view(9), add=True)
    assert "choose another extent" in str(editor_fixture.contouring.problem)


def test_a_range_of_slices(editor_fixture: ContourEditorFixture) -> None:
    set_slice_range_end(editor_fixture.parameters, "ReachStart", 9, Plane("K"))
    editor_fixture.draw(editor_fixture.view(7))
    assert "From here" in str(editor_fixture.contouring.problem)
    set_slice_range_end(editor_fixture.parameters, "ReachEnd", 5, Plane("K"))
    editor_fixture.contouring.run()
    editor_fixture.wait()
    assert editor_fixture.mask.any(axis=(1, 2)).nonzero()[0].tolist() == [5, 6, 7, 8, 9]
    assert editor_fixture.contouring.progress is None
    editor_fixture.draw(editor_fixture.view(7, "coronal"))
    assert "another plane" in str(editor_fixture.contouring.problem)


def test_cancel_ends_the_run_within_a_slice_and_keeps_the_rectangle(
    make_editor_fixture: Callable[[str], ContourEditorFixture],
) -> None:
    editor_fixture = make_editor_fixture("SlowService")
    editor_fixture.draw(editor_fixture.view(7), wait=False)
    editor_fixture.wait(
        lambda: editor_fixture.contouring.progress is not None and editor_fixture.contouring.progress.done > 1
    )
    editor_fixture.contouring.cancel()
    assert not editor_fixture.contouring.running
    editor_fixture.wait()
    assert editor_fixture.contouring.result is None and editor_fixture.contouring.state.current.image is None
    assert editor_fixture.contouring.problem is None
    assert list(editor_fixture.keys) == [7]
    editor_fixture.contouring.run()
    editor_fixture.wait()
    assert (editor_fixture.mask == editor_fixture.truth).all()


def test_after_a_cancel_the_earlier_result_is_shown_as_it_was(editor_fixture: ContourEditorFixture) -> None:
    """It is not drawn into a new image slice by slice, which takes a tenth of a second for hundreds of slices."""
    editor_fixture.draw(editor_fixture.view(7))
    current = editor_fixture.contouring.state.current
    image, values = current.image, current.image.values.copy()
    editor_fixture.contouring.run()
    editor_fixture.wait(lambda: editor_fixture.contouring.found is not None)
    assert current.image is not image
    editor_fixture.contouring.cancel()
    editor_fixture.wait()
    assert current.image is image and (current.image.values == values).all()
    # Not where the volume lies elsewhere by now.
    editor_fixture.contouring.run()
    editor_fixture.wait(lambda: editor_fixture.contouring.found is not None)
    editor_fixture.volume.SetOrigin(1, 2, 3)
    editor_fixture.contouring.cancel()
    editor_fixture.wait()
    assert (current.image.to_world[:3, 3] == (1, 2, 3)).all() and (current.image.values == values).all()


def test_at_the_end_of_a_run_no_slice_is_read_again(
    editor_fixture: ContourEditorFixture, service: CountingService
) -> None:
    """The voxels that a result was made from are remembered slice by slice while it is made."""
    editor_fixture.draw(editor_fixture.view(7), wait=False)
    editor_fixture.wait(lambda: editor_fixture.contouring.found is not None)
    stack, read = editor_fixture.contouring.runs._run._stack, []
    slice_values = stack.slice_values
    stack.slice_values = lambda index: (read.append(index), slice_values(index))[1]
    editor_fixture.wait(lambda: len(editor_fixture.contouring.found or ()) == len(service.computed) > 8)
    count = len(read)
    before = len(service.computed)
    editor_fixture.wait()
    assert len(read) - count <= 2 * (len(service.computed) - before) + 1
    assert not editor_fixture.contouring.state.current.outdated


def test_a_rectangle_during_a_run_takes_its_place(make_editor_fixture: Callable[[str], ContourEditorFixture]) -> None:
    editor_fixture = make_editor_fixture("SlowService")
    editor_fixture.draw(editor_fixture.view(7), wait=False)
    editor_fixture.wait(
        lambda: editor_fixture.contouring.progress is not None and editor_fixture.contouring.progress.done > 1
    )
    editor_fixture.draw(editor_fixture.view(9), add=True)
    assert (editor_fixture.mask == editor_fixture.truth).all()
    assert list(editor_fixture.keys) == [7, 9]
    assert editor_fixture.results == 1


def test_a_process_that_dies_is_told_and_replaced(make_editor_fixture: Callable[[str], ContourEditorFixture]) -> None:
    editor_fixture = make_editor_fixture("CrashingService")
    voxels = slicer.util.arrayFromVolume(editor_fixture.volume)
    voxels[9, 0, 0] = threshold_service.SIGNAL
    editor_fixture.parameters.set("Window", "127.5,255")
    voxels[0, 0, 1], voxels[0, 0, 2] = 0, 255
    editor_fixture.volume.GetImageData().Modified()
    editor_fixture.draw(editor_fixture.view(7))
    assert "ended unexpectedly" in str(editor_fixture.contouring.problem)
    assert editor_fixture.contouring.result is None
    voxels[9, 0, 0] = 20
    editor_fixture.volume.GetImageData().Modified()
    editor_fixture.contouring.run()
    editor_fixture.wait()
    assert editor_fixture.contouring.problem is None and editor_fixture.contouring.result is not None


@pytest.mark.parametrize("what", ["segment", "segmentation", "volume", "scene"])
def test_what_leaves_the_scene_takes_its_result_with_it(editor_fixture: ContourEditorFixture, what: str) -> None:
    editor_fixture.draw(editor_fixture.view(7), wait=False)
    if what == "segment":
        editor_fixture.segmentation.GetSegmentation().RemoveSegment("tumour")
    elif what == "scene":
        editor_fixture.scene_builder.scene.Clear(0)
    else:
        editor_fixture.scene_builder.scene.RemoveNode(getattr(editor_fixture, what))
    editor_fixture.wait()
    assert editor_fixture.contouring.state.gone
    assert editor_fixture.contouring.result is None and editor_fixture.results == 0
    assert editor_fixture.contouring.problem is not None
    assert (
        not editor_fixture.contouring.mouse.press(editor_fixture.view(7), (60, 60), False) if what != "scene" else True
    )


def test_the_slices_around_the_view_are_encoded_while_nothing_is_to_be_done(
    editor_fixture: ContourEditorFixture, service: CountingService
) -> None:
    editor_fixture.contouring.look_at(editor_fixture.view(5))
    editor_fixture.wait(lambda: len(service.encoded) >= 3)
    editor_fixture.contouring.mouse.press(editor_fixture.view(5), (60, 60), False)
    editor_fixture.contouring.step()  # ends the slice that is under way
    encoded = len(service.encoded)
    for _ in range(20):
        editor_fixture.contouring.step()
    assert len(service.encoded) == encoded
    editor_fixture.contouring.mouse.escape()
    editor_fixture.parameters.set("EncodeAhead", "0")
    editor_fixture.contouring.look_at(editor_fixture.view(9))
    editor_fixture.wait()
    assert len(service.encoded) == encoded


def test_slices_are_encoded_again_when_the_work_is_done_and_the_user_still_looks(
    editor_fixture: ContourEditorFixture, service: CountingService
) -> None:
    editor, now = editor_fixture.contouring, [100.0]
    editor._prefetch._clock = lambda: now[0]

    def look_on() -> int:
        """How many slices are encoded while the user looks at the same view for a while."""
        before = len(service.encoded)
        for _ in range(40):
            now[0] += 0.1
            editor.step()
        return len(service.encoded) - before

    editor.look_at(editor_fixture.view(7))
    editor_fixture.draw(editor_fixture.view(7), wait=False)
    assert not service.encoded or len(service.encoded) == 1, "the slice that is drawn on"
    editor_fixture.wait(lambda: not editor.running)
    assert editor.busy and look_on() > 3, "after the run"
    assert not editor.busy
    service.encoded.clear()
    editor.forget_encoded()
    editor.look_at(editor_fixture.view(5))
    assert editor.mouse.press(editor_fixture.view(5), (60, 60), False)
    assert look_on() == 0, "the button is down"
    editor.mouse.release((60, 60))
    assert editor.busy and look_on() > 3, "after a click that is none"
    service.encoded.clear()
    editor.forget_encoded()
    assert not editor.busy and look_on() == 0, "the user wants the memory"
    editor.look_at(editor_fixture.view(5))
    editor.look_away()
    assert not editor.busy and look_on() == 0, "the effect is left"
    editor.look_at(editor_fixture.view(5))
    editor_fixture.draw(editor_fixture.view(5), wait=False)
    editor.look_away()
    editor_fixture.wait(lambda: not editor.running)
    assert not editor.busy and look_on() == 0, "left during the run"


def test_a_slice_that_waits_to_be_encoded_is_dropped_when_there_is_work(
    editor_fixture: ContourEditorFixture, service: CountingService
) -> None:
    editor, now = editor_fixture.contouring, [100.0]
    editor._prefetch._clock = lambda: now[0]
    editor.look_at(editor_fixture.view(5))
    now[0] += 1
    editor.step()  # sends the first slice
    assert not editor_fixture.runner.idle
    assert editor.mouse.press(editor_fixture.view(5), (60, 60), False)
    editor.step()
    assert editor_fixture.runner.idle and not service.encoded
    editor.mouse.release((60, 60))
    now[0] += 1
    editor.step()
    now[0] += 1
    editor.step()
    editor.step()
    assert service.encoded, "it is encoded later"


def test_switched_off_while_slices_are_waiting_nothing_more_is_encoded(
    editor_fixture: ContourEditorFixture, service: CountingService
) -> None:
    editor_fixture.contouring.look_at(editor_fixture.view(5))
    editor_fixture.wait(lambda: len(service.encoded) >= 1)
    editor_fixture.parameters.set("EncodeAhead", "0")
    encoded = len(service.encoded)
    editor_fixture.wait()
    # The one that was under way may still come.
    assert len(service.encoded) <= encoded + 1


class TestVoxelsThatAreNoNumbers:
    """As outside of the region of interest of many processed volumes."""

    @staticmethod
    def put(editor_fixture: ContourEditorFixture, *where: int | slice) -> None:
        volume = editor_fixture.volume
        image = vtk.vtkImageCast()
        image.SetInputData(volume.GetImageData())
        image.SetOutputScalarTypeToFloat()
        image.Update()
        volume.SetAndObserveImageData(image.GetOutput())
        voxels(volume)[where] = np.nan
        volume.GetImageData().Modified()

    def test_outside_of_the_prompt_they_are_noted_once(self, editor_fixture: ContourEditorFixture) -> None:
        self.put(editor_fixture, slice(None), 0)
        editor_fixture.draw(editor_fixture.view(7))
        assert editor_fixture.contouring.problem is None
        assert (editor_fixture.mask == editor_fixture.truth).all()
        [note] = [note for note in editor_fixture.contouring.notes if "NaN" in note]
        assert note.startswith("660 voxels are NaN or infinite (the first at i 0, j 0, k 0)")
        editor_fixture.draw(editor_fixture.view(7), half=11)
        assert editor_fixture.contouring.notes.count(note) == 1

    def test_inside_the_prompt_they_are_refused_by_name(self, editor_fixture: ContourEditorFixture) -> None:
        self.put(editor_fixture, 7, 20, 21)
        editor_fixture.draw(editor_fixture.view(7))
        assert "1 voxels in the prompt on slice 7 are NaN or infinite" in str(editor_fixture.contouring.problem)
        assert editor_fixture.contouring.result is None
        editor_fixture.draw(editor_fixture.view(9))
        assert editor_fixture.contouring.problem is None and editor_fixture.contouring.result
