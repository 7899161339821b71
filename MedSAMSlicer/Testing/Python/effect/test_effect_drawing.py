"""Mouse and keys in slice views: what is seen, what is kept, what is dropped."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import slicer
import vtk


def test_the_effect_is_registered_once_and_the_package_stays_a_package(bench: Any) -> None:
    import sys

    from MedSAMSlicerLib.effect.registration import register_effect

    register_effect()
    assert bench.host.editor.availableEffectNames() == ("MedSAM",)
    assert hasattr(sys.modules["MedSAMSlicerLib"], "__path__")


def test_the_effect_works_after_the_module_was_reloaded(bench: Any) -> None:
    slicer.util.reloadScriptedModule("MedSAMSlicer")
    bench.host.app.startupCompleted.emit()
    assert bench.host.editor.availableEffectNames() == ("MedSAM",)
    bench.drag()
    assert (bench.result() == bench.truth).all()


def test_rectangle_and_mask_are_seen_while_drawing(bench: Any) -> None:
    hands, host = bench.host.hands, bench.host
    assert not bench.visible("preview") and not bench.visible("rectangle")
    assert hands.press("Red", bench.at("Red", -1))
    assert hands.move("Red", bench.at("Red", 0.9))
    assert bench.visible("rectangle")
    host.wait_until(lambda: bench.visible("preview"))
    assert not bench.visible("rectangle", "Yellow")
    assert hands.release("Red", bench.at("Red", 1))
    bench.finish()
    assert bench.visible("result") and bench.visible("result", "Yellow") and not bench.visible("preview")
    assert (bench.result() == bench.truth).all()
    assert not bench.voxels().any()


@pytest.mark.parametrize("view", ["Red", "Yellow", "Green"])
def test_every_view_contours_the_whole_object(bench: Any, view: str) -> None:
    bench.drag(view)
    assert (bench.result() == bench.truth).all()


def test_the_overlay_lies_where_the_object_is_and_has_the_segments_colour(bench: Any) -> None:
    from vtk.util.numpy_support import vtk_to_numpy

    bench.segmentation.GetSegmentation().GetSegment("tumour").SetColor(1, 0, 0)
    bench.drag()
    drawn = next(one for one in bench.effect._overlays._views if one.widget is bench.host.hands.view("Red"))
    image = drawn._result.pixels()
    pixels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(*image.GetDimensions()[1::-1], 4)
    inside, outside = bench.xy("Red", 10, 30, 40), bench.xy("Red", 10, 30, 60)
    assert pixels[inside[1], inside[0]].tolist()[:3] == [255, 0, 0] and pixels[inside[1], inside[0], 3] > 0
    assert pixels[outside[1], outside[0], 3] == 0


def test_escape_drops_the_rectangle_and_is_kept_from_others(bench: Any) -> None:
    hands = bench.host.hands
    hands.press("Red", bench.at("Red", -1))
    hands.move("Red", bench.at("Red", 1))
    assert hands.key("Escape")
    assert not bench.visible("rectangle")
    assert not hands.release("Red", bench.at("Red", 1))
    assert bench.contouring.prompts is None and not bench.contouring.running
    assert not hands.key("Escape")
    assert bench.host.editor.activeEffect() is not None


class Key:
    """A key as a widget gets it."""

    accepted = False

    def __init__(self, kind: Any, key: Any) -> None:
        self._kind, self._key = kind, key

    def type(self) -> Any:
        return self._kind

    def key(self) -> Any:
        return self._key

    def accept(self) -> None:
        self.accepted = True


def test_escape_reaches_the_effect_before_the_editors_own_shortcut(bench: Any) -> None:
    import qt

    window = slicer.util.mainWindow()
    (watcher,) = window.__dict__["_filters"]
    event = Key(qt.QEvent.ShortcutOverride, qt.Qt.Key_Escape)
    assert not watcher.eventFilter(window, event) and not event.accepted
    bench.host.hands.press("Red", bench.at("Red", -1))
    assert not watcher.eventFilter(window, Key(qt.QEvent.ShortcutOverride, qt.Qt.Key_A))
    assert watcher.eventFilter(window, event) and event.accepted
    assert bench.contouring.rectangle.drag is None
    bench.host.editor.setActiveEffect(None)
    assert window.__dict__["_filters"] == []


def test_one_stroke_of_escape_over_a_view_drops_one_thing(bench: Any) -> None:
    """A key that was kept from a shortcut goes on to the view that has the focus, which hands it to the effect, too."""
    import qt

    bench.drag()
    bench.ui.keysTable.selectRow(0)
    bench.host.hands.click(bench.ui.correctKeyButton)
    bench.host.hands.press("Red", bench.at("Red", -0.5))
    bench.host.hands.move("Red", bench.at("Red", 0.5))
    window = slicer.util.mainWindow()
    (watcher,) = window.__dict__["_filters"]

    def stroke() -> bool:
        event = Key(qt.QEvent.ShortcutOverride, qt.Qt.Key_Escape)
        watcher.eventFilter(window, event)
        return event.accepted and bench.host.hands.key("Escape")

    assert stroke()
    assert bench.contouring.rectangle.drag is None and bench.contouring.correcting == 10
    bench.host.clock.advance(20)
    assert stroke()
    assert bench.contouring.correcting is None
    bench.host.clock.advance(20)
    assert not stroke(), "nothing is left to drop: the editor's own shortcut puts the effect away"


def test_other_buttons_views_and_moves_are_left_to_slicer(bench: Any) -> None:
    hands = bench.host.hands
    assert not hands.press("Red", bench.at("Red", -1), button="Right")
    assert not hands.move("Red", bench.at("Red", 1))
    bench.zoom_out("Red")
    assert not hands.press("Red", (1, 1))
    assert "outside of the volume" in bench.ui.problemLabel.text
    hands.press("Red", bench.at("Red", -1))
    assert not hands.move("Yellow", bench.at("Yellow", 1))
    assert bench.ui.problemLabel.text == ""


def test_a_handle_of_the_roi_can_be_dragged(bench: Any) -> None:
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    roi.CreateDefaultDisplayNodes()
    bench.contouring.parameters.set_reference("ROI", roi)
    roi.GetDisplayNode().SetActiveComponent(roi.GetDisplayNode().ComponentScaleHandle, 0)
    assert not bench.host.hands.press("Red", bench.at("Red", -1))
    assert not bench.host.hands.press_again("Red", bench.at("Red", -1))
    roi.GetDisplayNode().SetActiveComponent(roi.GetDisplayNode().ComponentNone, 0)
    assert bench.host.hands.press("Red", bench.at("Red", -1))


def test_the_panel_says_which_slices_are_used(bench: Any) -> None:
    bench.drag("Yellow")
    assert "Sagittal" in bench.ui.planeLabel.text and "own slices" in bench.ui.planeLabel.text
    node = bench.host.hands.view("Green").mrmlSliceNode()
    turn = vtk.vtkTransform()
    turn.SetMatrix(node.GetSliceToRAS())
    turn.RotateX(30)
    node.GetSliceToRAS().DeepCopy(turn.GetMatrix())
    node.UpdateMatrices()
    bench.drag("Green")
    assert "Oblique" in bench.ui.planeLabel.text and "plane of the view" in bench.ui.planeLabel.text
    result = bench.result()
    assert 2 * (result & bench.truth).sum() / (result.sum() + bench.truth.sum()) > 0.93


def test_what_the_model_sees_is_shown_in_its_window(bench: Any) -> None:
    bench.host.wait_until(lambda: bench.contouring.reader.window is not None)
    bench.host.hands.click(bench.ui.showInputButton)
    assert bench.visible("seen") and bench.visible("seen", "Green")
    seen = bench.effect._overlays._views[0]._input[1].values
    assert sorted(np.unique(seen)) == [0, 255]  # the image's own range, which the window is limited to
    bench.host.hands.click(bench.ui.showInputButton)
    assert not bench.visible("seen")


def test_the_model_sees_large_slices_at_its_own_resolution(bench: Any) -> None:
    from MedSAMSlicerLib.effect.overlays import at_resolution

    image = np.random.default_rng(1).integers(0, 256, (40, 64), dtype=np.uint8)
    assert at_resolution(image, 64) is image
    coarse = at_resolution(image, 32)
    assert coarse.shape == image.shape
    assert coarse[0, 0] == coarse[1, 1] == round(image[:2, :2].mean())


def test_leaving_the_effect_takes_everything_from_the_views(bench: Any) -> None:
    bench.drag()
    renderer = bench.effect.scriptedEffect.renderer(bench.host.hands.view("Red"))
    actors = renderer.GetViewProps().GetNumberOfItems()
    bench.host.editor.setActiveEffect(None)
    assert renderer.GetViewProps().GetNumberOfItems() == actors - 6
    bench.host.editor.setActiveEffectByName("MedSAM")
    assert renderer.GetViewProps().GetNumberOfItems() == actors
    assert bench.visible("result")


def test_a_drawn_rectangle_is_seen_again_on_its_slice(bench: Any) -> None:
    bench.drag()
    assert bench.visible("rectangle")
    node = bench.host.hands.view("Red").mrmlSliceNode()
    node.SetSliceOffset(node.GetSliceOffset() + 6)
    assert not bench.visible("rectangle")
    bench.host.hands.click(bench.ui.goToKeyButton)
    assert bench.visible("rectangle")


def test_a_rectangle_may_begin_right_after_a_click(bench: Any) -> None:
    hands, start, end = bench.host.hands, bench.at("Red", -1), bench.at("Red", 1)
    hands.press("Red", start)
    hands.release("Red", start)
    assert hands.press_again("Red", start)
    assert hands.move("Red", end)
    assert hands.release("Red", end)
    bench.finish()
    assert (bench.result() == bench.truth).all()
