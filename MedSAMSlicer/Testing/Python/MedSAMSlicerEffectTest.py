"""The effect's whole story in a running Slicer: without network, weights or torch.

Run by ctest (`slicer_add_python_unittest`), or in Slicer's Python console:
``import MedSAMSlicerEffectTest; MedSAMSlicerEffectTest.MedSAMSlicerEffectTest().runTest()``.
It does not depend on the speed of the computer, on the size of the window, or on what was open before: it waits for states,
and its limits count slices and event cycles.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

from support.effect_session import NEIGHBOUR, TUMOUR, EffectSession


class MedSAMSlicerEffectTest(EffectSession, ScriptedLoadableModuleTest):
    """Each step builds on the one before, as a user's do."""

    def runTest(self) -> None:
        self.setUp()
        try:
            self.story()
        finally:
            self.tearDown()

    def test_story(self) -> None:
        self.story()

    def story(self) -> None:
        self.drag_and_preview()
        self.cancel()
        self.run_again_and_see()
        self.apply_undo_redo()
        self.respect_the_neighbour()
        self.add_a_key_slice()
        self.visit_slices_to_review()
        self.hide_the_segment()
        self.take_back_a_forgotten_shift()
        self.draw_anew_during_a_run()
        self.escape_from_a_drag_and_a_run()
        self.zoom_during_a_drag()
        self.change_the_layout_during_a_drag()
        self.work_in_two_editors()
        self.change_the_voxels()
        self.move_a_measurement()
        self.contour_inside_a_roi()
        self.contour_an_oblique_view()
        self.save_and_load()
        self.refuse_a_volume()
        self.close_the_scene()

    # The steps

    def drag_and_preview(self) -> None:
        self.parameter("Window", "-400,1200")
        before = self.voxels(TUMOUR)
        self.session.press("Red", -1)
        self.session.move("Red", 0.5)
        self.wait(lambda: self.effect.contouring.rectangle.image is not None, "the preview")
        self.session.move("Red", 1)
        rectangle = self.effect.contouring.rectangle
        self.wait(lambda: rectangle.shown is not None and rectangle.shown.box == rectangle.drag.box, "the last preview")
        assert rectangle.image.values.any()
        self.session.release("Red", 1)
        self.wait_for_slices(2)
        assert (self.voxels(TUMOUR) == before).all()

    def cancel(self) -> None:
        """The user is told at once. The process goes on, so that nothing that it has encoded is lost."""
        self.effect.cancel()
        assert not self.effect.contouring.running
        self.wait(lambda: not self.effect.contouring.busy, "the end of the cancelled run")
        assert self.effect.contouring.result is None
        assert self.effect.contouring.problem is None
        assert self.voxels(TUMOUR).sum() == 0

    def run_again_and_see(self) -> None:
        """The run goes on while the effect is left, as Slicer does it when another module is opened."""
        self.effect.run()
        self.wait_for_slices(1)
        self.editor.setActiveEffect(None)
        assert self.effect.contouring.running
        self.finish()
        self.editor.setActiveEffectByName("MedSAM")
        assert self.voxels(TUMOUR).sum() == 0
        assert len(self.effect.contouring.result) > 5
        assert len(self.keys) == 1
        assert len(self.transports) == 1, "the cancelled run has not cost the process"

    def apply_undo_redo(self) -> None:
        expected = self.result()
        self.effect.apply()
        assert (self.voxels(TUMOUR) == expected).all()
        self.editor.undo()
        assert self.voxels(TUMOUR).sum() == 0
        self.wait(lambda: self.effect.contouring.state.current.undone, "the news of Undo")
        self.editor.redo()
        assert (self.voxels(TUMOUR) == expected).all()
        self.wait(lambda: self.effect.contouring.state.current.applied, "the news of Redo")

    def respect_the_neighbour(self) -> None:
        """Only where masking allows it is something written; where that is nowhere, the user reads why."""
        tumour = self.voxels(TUMOUR)
        self.select(NEIGHBOUR)
        assert self.effect.contouring.state.prompts is None
        self.allow(slicer.vtkMRMLSegmentationNode.EditAllowedInsideSingleSegment, NEIGHBOUR)
        self.drag("Red", 1.4)
        self.finish()
        whole = self.result()
        self.effect.apply()
        assert self.effect.contouring.problem is not None
        assert self.voxels(NEIGHBOUR).sum() == 0

        half = tumour.copy()
        half[:, :, : int(np.median(np.nonzero(tumour)[2]))] = False
        slicer.util.updateSegmentBinaryLabelmapFromArray(half.astype(np.uint8), self.segmentation, TUMOUR, self.volume)
        self.allow(slicer.vtkMRMLSegmentationNode.EditAllowedOutsideAllSegments)
        self.effect.apply()
        assert self.effect.contouring.problem is None, self.effect.contouring.problem
        written = self.voxels(NEIGHBOUR)
        assert written.any() and (written == whole & ~half).all()
        assert (self.voxels(TUMOUR) == half).all()
        assert any(str(written.sum()) in note for note in self.effect.contouring.notes)
        self.allow(slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere)
        self.select(TUMOUR)
        assert len(self.keys) == 1

    def add_a_key_slice(self) -> None:
        self.effect.run()
        self.finish()
        (first,) = self.keys
        before = self.effect.contouring.result
        self.go_to(first + 3)
        self.drag("Red", 0.5, shift=True)
        self.finish()
        contouring = self.effect.contouring
        assert sorted(self.keys) == [first, first + 3]
        assert contouring.result[first + 3].mask.sum() < before[first + 3].mask.sum()
        assert (contouring.result[first - 1].mask == before[first - 1].mask).all()
        self.parameter("Mode", "replace")
        self.effect.apply()
        assert (self.voxels(TUMOUR) == self.result()).all()
        self.parameter("Mode", "add")

    def visit_slices_to_review(self) -> None:
        contouring = self.effect.contouring
        to_review = [found.index for found in contouring.result if found.needs_review and not found.key]
        assert len(to_review) > 0
        visited = []
        self.go_to(to_review[-1])
        for _index in to_review:
            self.effect.goToNextReview()
            visited.append(self.shown())
        assert visited == to_review

    def hide_the_segment(self) -> None:
        """The first block says it at once, and no longer when the segment is shown again."""
        hint, display = self.effect._frame.ui.hintLabel, self.segmentation.GetDisplayNode()
        assert "hidden" not in hint.text
        display.SetSegmentVisibility(TUMOUR, False)
        try:
            # This editor is shown nowhere, so that nothing in it is visible.
            self.wait(lambda: not hint.isHidden() and "hidden" in hint.text, "the hint on the hidden segment")
        finally:
            # Slicer asks before it writes into a hidden segment, and waits for an answer.
            display.SetSegmentVisibility(TUMOUR, True)
        self.wait(lambda: "hidden" not in hint.text, "the end of the hint")

    def draw_anew_during_a_run(self) -> None:
        """The first run leaves no error beside the result of the second."""
        self.session.look("Red")
        self.drag("Red", 1)
        self.wait_for_slices(1)
        self.drag("Red", 0.8)
        drawn = self.keys
        self.finish()
        assert self.keys == drawn
        assert len(self.transports) == 1

    def escape_from_a_drag_and_a_run(self) -> None:
        """Esc drops the rectangle, then the run, and leaves the effect active; then it is the Segment Editor's again."""
        before = self.keys
        self.session.press("Red", -1)
        self.session.move("Red", 1)
        self.session.shortcut("Esc")
        assert self.effect.contouring.rectangle.drag is None
        self.session.release("Red", 1)
        assert self.keys == before
        self.drag("Red", 1)
        self.wait_for_slices(1)
        self.session.key("Red", "Escape")
        assert not self.effect.contouring.running
        assert self.keys == before
        assert self.effect.contouring.problem is None
        assert self.editor.activeEffect() is not None
        self.wait(lambda: not self.effect.contouring.busy, "the end of the run")
        self.session.shortcut("Esc")
        assert self.editor.activeEffect() is None
        self.editor.setActiveEffectByName("MedSAM")

    def take_back_a_forgotten_shift(self) -> None:
        """A rectangle that is drawn without Shift replaces all key slices; the key before brings them back, with the result."""
        keys, result = self.keys, self.effect.contouring.result
        self.session.look("Red")
        self.go_to(max(found.index for found in result) + 2)
        self.drag("Red", 0.5)
        self.effect.cancel()
        assert len(keys) > 1 and len(self.keys) == 1
        self.session.key("Red", "BackSpace")
        assert self.keys == keys
        assert self.effect.contouring.result is result
        self.wait(lambda: not self.effect.contouring.busy, "the end of the run")

    def change_the_voxels(self) -> None:
        """A result of voxels that have changed is not written without a question."""
        asked: list[Any] = []
        confirm = slicer.util.confirmYesNoDisplay
        voxels, before = slicer.util.arrayFromVolume(self.volume), self.voxels(TUMOUR)
        voxels += 1
        slicer.util.arrayFromVolumeModified(self.volume)
        # The user says no; in a run of tests, in which nobody can be asked, that is an error.
        slicer.util.confirmYesNoDisplay = lambda *question, **_options: bool(asked.append(question))
        try:
            self.effect.apply()
        finally:
            slicer.util.confirmYesNoDisplay = confirm
        assert asked or self.effect.contouring.problem is not None
        assert (self.voxels(TUMOUR) == before).all()
        voxels -= 1
        slicer.util.arrayFromVolumeModified(self.volume)
        self.effect.run()
        self.finish()

    def zoom_during_a_drag(self) -> None:
        """A view that is zoomed moves no corner: the rectangle stays where it is in the patient."""
        rectangle = self.effect.contouring.rectangle
        self.session.press("Red", -1)
        self.session.move("Red", 1)
        before = rectangle.drag.box
        self.session.look("Red", 3.5)
        self.session.move("Red", 1)
        assert np.allclose(rectangle.drag.box.xyxy, before.xyxy, atol=1), (before, rectangle.drag.box)
        self.session.shortcut("Esc")
        self.session.release("Red", 1)
        self.session.look("Red")

    def change_the_layout_during_a_drag(self) -> None:
        """The rectangle ends or is dropped; afterwards the mouse draws nothing without its button."""
        layouts = slicer.vtkMRMLLayoutNode
        self.session.press("Red", -1)
        self.session.move("Red", 0.5)
        self.session.set_layout(layouts.SlicerLayoutOneUpGreenSliceView)
        self.wait(lambda: self.session.is_usable("Green"), "the other layout")
        self.session.move("Green", 1)
        self.session.release("Green", 1)
        self.session.set_layout(layouts.SlicerLayoutFourUpView)
        self.wait(lambda: self.session.is_usable("Red"), "the first layout")
        for name in ("Red", "Green"):
            self.session.move(name, -0.5)
        self.wait(lambda: self.effect.contouring.rectangle.drag is None, "the end of the rectangle")
        self.effect.cancel()
        assert self.effect.contouring.problem is None

    def work_in_two_editors(self) -> None:
        """Mouse and keys go to the editor that was used last."""
        before = self.keys
        other = self.make_second_editor()
        other.setSegmentationNode(self.segmentation)
        other.setSourceVolumeNode(self.volume)
        other.setCurrentSegmentID(NEIGHBOUR)
        other.setActiveEffectByName("MedSAM")
        effect = other.activeEffect().self()
        effect.make_transport = self.make_transport
        self.parameter("Window", "-400,1200")
        effect.scriptedEffect.setParameter("Window", "-400,1200")
        try:
            self.session.drag("Red", 1.2)
            self.wait(lambda: not effect.contouring.running, "the run of the second editor")
            assert effect.contouring.problem is None, effect.contouring.problem
            assert effect.contouring.result is not None
            assert self.keys == before and not self.effect.contouring.running
        finally:
            other.setActiveEffect(None)
            effect.cleanup()
            other.removeViewObservations()
            other.deleteLater()
        self.drag("Red", 1)
        self.finish()
        assert self.keys != before

    def move_a_measurement(self) -> None:
        """The end of a line belongs to the line: dragging it draws no rectangle."""
        before = self.keys
        line = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsLineNode", "Line")
        line.CreateDefaultDisplayNodes()
        for share in (-0.5, 0.5):
            line.AddControlPointWorld(*(self.session.middle + [share * self.radius, share * self.radius, 0]))
        self.session.look("Red")
        (x, y), display = self.session.xy_of("Red", self.control_point(line, 1)), line.GetDisplayNode()
        self.session.hover("Red", (x, y))
        self.wait(lambda: display.GetActiveComponentType() == display.ComponentControlPoint, "the line's end")
        end = self.control_point(line, 1)
        self.session.drag_pixels("Red", (x, y), (x + 12, y + 9))
        self.wait(lambda: not np.allclose(self.control_point(line, 1), end), "the line to move")
        assert self.effect.contouring.rectangle.drag is None
        assert not self.effect.contouring.running and self.keys == before
        slicer.mrmlScene.RemoveNode(line)

    def contour_inside_a_roi(self) -> None:
        self.effect.putROIAroundSegment()
        roi = self.effect.contouring.parameters.reference("ROI")
        assert self.effect.contouring.problem is None
        assert roi is not None
        self.effect.runInROI()
        self.finish()
        assert [key.origin for key in self.keys.values()] == ["roi"]
        roi.SetDisplayVisibility(False)

    def contour_an_oblique_view(self) -> None:
        node = self.session.view("Green").mrmlSliceNode()
        normal, across = np.array([0.0, 0.8, 0.6]), np.array([1.0, 0.0, 0.0])
        node.SetSliceToRASByNTP(*normal, *across, *self.session.middle, 0)
        self.parameter("Reach", "slice")
        self.drag("Green", 1)
        self.finish()
        assert self.effect.contouring.state.plane.axis is None
        assert len(self.effect.contouring.result) == 1
        assert self.result().any()
        self.effect.discard()
        self.parameter("Reach", "object")

    def save_and_load(self) -> None:
        self.session.look("Red")
        self.drag("Red", 1)
        self.finish()
        self.effect.apply()
        drawn, voxels = self.effect.contouring.state.prompts, self.voxels(TUMOUR)
        self.parameter("Mode", "replace")
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "story.mrb")
            assert slicer.util.saveScene(path)
            slicer.mrmlScene.Clear(0)
            assert self.effect.contouring is None
            slicer.util.loadScene(path)
        self.volume = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
        self.segmentation = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
        self.take_loaded_editor_node()
        # Slicer's module ends the effect with its scene; while it stays active, its events are those of the views before.
        self.editor.setActiveEffect(None)
        self.editor.setActiveEffectByName("MedSAM")
        self.wait(lambda: self.effect.contouring is not None, "the loaded segment")
        assert self.effect.contouring.state.prompts == drawn
        assert self.effect.contouring.parameters.mode == "replace"
        assert (self.voxels(TUMOUR) == voxels).all()
        self.effect.run()
        self.finish()
        self.effect.apply()
        assert (self.voxels(TUMOUR) == voxels).all()

    def refuse_a_volume(self) -> None:
        """A single row of voxels cannot be contoured: the user reads why, and the next volume is taken."""
        single = slicer.util.addVolumeFromArray(np.arange(64, dtype=np.int16).reshape(1, 1, 64), name="One row")
        self.editor.setSourceVolumeNode(single)
        self.wait(lambda: self.effect.contouring is None, "the refusal")
        self.editor.setSourceVolumeNode(self.volume)
        self.wait(lambda: self.effect.contouring is not None, "the first volume")
        self.editor.setSourceVolumeNode(single)
        self.wait(lambda: self.effect.contouring is None, "the refusal")

    def close_the_scene(self) -> None:
        """A result that is not applied stops no script with a question."""
        self.editor.setSourceVolumeNode(self.volume)
        self.wait(lambda: self.effect.contouring is not None, "the first volume")
        self.session.look("Red")
        self.drag("Red", 0.7)
        self.finish()
        slicer.mrmlScene.Clear(0)
        self.wait(lambda: self.effect.contouring is None, "the end of the segment")
        assert self.exceptions.texts == [], "\n".join(self.exceptions.texts)

    # As version 0.1 called it, for scripts that run the steps one by one.
    visit_doubtful_slices = visit_slices_to_review
