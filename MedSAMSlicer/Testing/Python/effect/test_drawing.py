"""Mouse and keys in slice views: what is seen, what is kept, what is dropped."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import slicer
import vtk

from MedSAMSlicerLib.engine.masks import dice


def test_the_effect_is_registered_once_and_the_package_stays_a_package(effect_fixture: Any) -> None:
    import sys

    from MedSAMSlicerLib.effect.registration import register_effect

    register_effect()
    assert effect_fixture.host.editor.availableEffectNames() == ("MedSAM",)
    assert hasattr(sys.modules["MedSAMSlicerLib"], "__path__")


def test_the_effect_works_after_the_module_was_reloaded(effect_fixture: Any) -> None:
    slicer.util.reloadScriptedModule("MedSAMSlicer")
    effect_fixture.host.app.startupCompleted.emit()
    assert effect_fixture.host.editor.availableEffectNames() == ("MedSAM",)
    effect_fixture.drag()
    assert (effect_fixture.result() == effect_fixture.truth).all()


def test_rectangle_and_mask_are_seen_while_drawing(effect_fixture: Any) -> None:
    user, host = effect_fixture.host.user, effect_fixture.host
    assert not effect_fixture.visible("preview") and not effect_fixture.visible("rectangle")
    assert user.press("Red", effect_fixture.at("Red", -1))
    assert user.move("Red", effect_fixture.at("Red", 0.9))
    assert effect_fixture.visible("rectangle")
    host.wait_until(lambda: effect_fixture.visible("preview"))
    assert not effect_fixture.visible("rectangle", "Yellow")
    assert user.release("Red", effect_fixture.at("Red", 1))
    effect_fixture.finish()
    assert (
        effect_fixture.visible("result")
        and effect_fixture.visible("result", "Yellow")
        and not effect_fixture.visible("preview")
    )
    assert (effect_fixture.result() == effect_fixture.truth).all()
    assert not effect_fixture.voxels().any()


@pytest.mark.parametrize("view", ["Red", "Yellow", "Green"])
def test_every_view_contours_the_whole_object(effect_fixture: Any, view: str) -> None:
    effect_fixture.drag(view)
    assert (effect_fixture.result() == effect_fixture.truth).all()


def test_the_overlay_lies_where_the_object_is_and_has_the_segments_colour(effect_fixture: Any) -> None:
    from vtk.util.numpy_support import vtk_to_numpy

    effect_fixture.segmentation.GetSegmentation().GetSegment("tumour").SetColor(1, 0, 0)
    effect_fixture.drag()
    drawn = next(
        one for one in effect_fixture.effect._overlays._views if one.widget is effect_fixture.host.user.view("Red")
    )
    image = drawn._result.pixels()
    pixels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(*image.GetDimensions()[1::-1], 4)
    inside, outside = effect_fixture.xy("Red", 10, 30, 40), effect_fixture.xy("Red", 10, 30, 60)
    assert pixels[inside[1], inside[0]].tolist()[:3] == [255, 0, 0] and pixels[inside[1], inside[0], 3] > 0
    assert pixels[outside[1], outside[0], 3] == 0


def test_other_buttons_views_and_moves_are_left_to_slicer(effect_fixture: Any) -> None:
    user = effect_fixture.host.user
    assert not user.press("Red", effect_fixture.at("Red", -1), button="Right")
    assert not user.move("Red", effect_fixture.at("Red", 1))
    effect_fixture.zoom_out("Red")
    assert not user.press("Red", (1, 1))
    assert "outside of the volume" in effect_fixture.ui.problemLabel.text
    user.press("Red", effect_fixture.at("Red", -1))
    assert not user.move("Yellow", effect_fixture.at("Yellow", 1))
    assert effect_fixture.ui.problemLabel.text == ""


def test_the_panel_says_which_slices_are_used(effect_fixture: Any) -> None:
    effect_fixture.drag("Yellow")
    assert effect_fixture.ui.planeLabel.text.startswith("Sagittal slices, ")
    node = effect_fixture.host.user.view("Green").mrmlSliceNode()
    turn = vtk.vtkTransform()
    turn.SetMatrix(node.GetSliceToRAS())
    turn.RotateX(30)
    node.GetSliceToRAS().DeepCopy(turn.GetMatrix())
    node.UpdateMatrices()
    effect_fixture.drag("Green")
    assert effect_fixture.ui.planeLabel.text.startswith("Oblique slices as in this view, ")
    result = effect_fixture.result()
    assert dice(result, effect_fixture.truth) > 0.93


def test_what_the_model_sees_is_shown_in_its_window(effect_fixture: Any) -> None:
    effect_fixture.host.wait_until(lambda: effect_fixture.contouring.reader.window is not None)
    effect_fixture.host.user.click(effect_fixture.ui.showInputButton)
    assert effect_fixture.visible("model_input") and effect_fixture.visible("model_input", "Green")
    seen = effect_fixture.effect._overlays._views[0]._input[1].values
    assert sorted(np.unique(seen)) == [0, 255]  # the image's own range, which the window is limited to
    effect_fixture.host.user.click(effect_fixture.ui.showInputButton)
    assert not effect_fixture.visible("model_input")


def test_the_model_sees_large_slices_at_its_own_resolution(effect_fixture: Any) -> None:
    from MedSAMSlicerLib.effect.overlays import at_network_resolution

    image = np.random.default_rng(1).integers(0, 256, (40, 64), dtype=np.uint8)
    assert at_network_resolution(image, 64) is image
    coarse = at_network_resolution(image, 32)
    assert coarse.shape == image.shape
    assert coarse[0, 0] == coarse[1, 1] == round(image[:2, :2].mean())


def test_leaving_the_effect_takes_everything_from_the_views(effect_fixture: Any) -> None:
    effect_fixture.drag()
    renderer = effect_fixture.effect.scriptedEffect.renderer(effect_fixture.host.user.view("Red"))
    actors = renderer.GetViewProps().GetNumberOfItems()
    effect_fixture.host.editor.setActiveEffect(None)
    assert renderer.GetViewProps().GetNumberOfItems() == actors - 8
    effect_fixture.host.editor.setActiveEffectByName("MedSAM")
    assert renderer.GetViewProps().GetNumberOfItems() == actors
    assert effect_fixture.visible("result")


def test_a_drawn_rectangle_is_seen_again_on_its_slice(effect_fixture: Any) -> None:
    effect_fixture.drag()
    assert effect_fixture.visible("rectangle")
    node = effect_fixture.host.user.view("Red").mrmlSliceNode()
    node.SetSliceOffset(node.GetSliceOffset() + 6)
    assert not effect_fixture.visible("rectangle")
    effect_fixture.host.user.click(effect_fixture.ui.goToKeyButton)
    assert effect_fixture.visible("rectangle")


def test_a_rectangle_may_begin_right_after_a_click(effect_fixture: Any) -> None:
    user, start, end = effect_fixture.host.user, effect_fixture.at("Red", -1), effect_fixture.at("Red", 1)
    user.press("Red", start)
    user.release("Red", start)
    assert user.press_again("Red", start)
    assert user.move("Red", end)
    assert user.release("Red", end)
    effect_fixture.finish()
    assert (effect_fixture.result() == effect_fixture.truth).all()


def test_a_forgotten_shift_is_taken_back_by_button_and_by_key(effect_fixture: Any) -> None:
    user, ui = effect_fixture.host.user, effect_fixture.ui
    assert not ui.undoPromptButton.enabled
    effect_fixture.drag()
    result = effect_fixture.contouring.result
    effect_fixture.effect.apply()
    for take_back in (lambda: user.click(ui.undoPromptButton), lambda: user.key("BackSpace")):
        effect_fixture.drag("Yellow", half=0.4)
        assert ui.resultLabel.text.startswith("Preview") and effect_fixture.contouring.result is not result
        take_back()
        effect_fixture.host.clock.advance(100)
        assert effect_fixture.contouring.result is result and ui.keysTable.rowCount == 1
        assert ui.resultLabel.text.startswith("Applied"), "it is in the segment all the time"
    assert user.key("BackSpace") and not ui.undoPromptButton.enabled and ui.keysTable.rowCount == 0
    assert not user.key("BackSpace"), "a key without a meaning is left to others"
    assert (effect_fixture.voxels() == effect_fixture.truth).all()
