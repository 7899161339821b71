"""The effect's whole story in a running Slicer: without network, weights or torch, in less than two minutes.

Run by ctest (`slicer_add_python_unittest`), or in Slicer's Python console:
``import MedSAMSlicerEffectTest; MedSAMSlicerEffectTest.MedSAMSlicerEffectTest().runTest()``.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

from MedSAMSlicerLib.effect.registration import register_effect
from MedSAMSlicerLib.engine.environment import child_environment
from MedSAMSlicerLib.processes.qprocess_transport import QProcessTransport
from MedSAMSlicerLib.scene.worker.transport import worker_command

FOLDER = Path(__file__).resolve().parent
SERVICE = "support.effect_services:NeedsReviewService"
# The engine answers within half a second; the rest is for rendering, on a computer that does other work too.
CANCEL_SECONDS = 2.0
TUMOUR, NEIGHBOUR = "tumour", "neighbour"


class MedSAMSlicerEffectTest(ScriptedLoadableModuleTest):
    """Each step builds on the one before, as a user's do."""

    editor: Any = None
    effect: Any = None

    def setUp(self) -> None:
        try:
            self.begin()
        except BaseException:
            # unittest does not tear down what was not set up to its end.
            self.tearDown()
            raise

    def tearDown(self) -> None:
        editor, effect = self.editor, self.effect
        self.editor = self.effect = None
        if editor is not None:
            editor.setActiveEffect(None)
        if effect is not None:
            effect.cleanup()
        if editor is not None:
            self.drop_editor(editor)
        slicer.mrmlScene.Clear(0)

    def begin(self) -> None:
        slicer.mrmlScene.Clear(0)
        self.volume, self.middle = self.make_volume()
        self.segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Segmentation")
        self.segmentation.CreateDefaultDisplayNodes()
        self.segmentation.SetReferenceImageGeometryParameterFromVolumeNode(self.volume)
        for name in (TUMOUR, NEIGHBOUR):
            self.segmentation.GetSegmentation().AddEmptySegment(name, name)
        register_effect()
        self.editor = self.make_editor()
        self.editor.setSegmentationNode(self.segmentation)
        self.editor.setSourceVolumeNode(self.volume)
        self.editor.setCurrentSegmentID(TUMOUR)
        self.show()
        self.effect = self.start_effect()

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
        self.contour_inside_a_roi()
        self.contour_an_oblique_view()
        self.save_and_load()

    # The steps

    def drag_and_preview(self) -> None:
        self.parameter("Window", "-400,1200")
        before = self.voxels(TUMOUR)
        self.press("Red", -1)
        self.move("Red", 0.5)
        self.wait(lambda: self.effect.contouring.rectangle.image is not None, "the preview")
        self.move("Red", 1)
        rectangle = self.effect.contouring.rectangle
        self.wait(lambda: rectangle.shown is not None and rectangle.shown.box == rectangle.drag.box, "the last preview")
        assert rectangle.image.values.any()
        self.release("Red", 1)
        self.wait(lambda: self.progress_done() > 1, "slices")
        assert (self.voxels(TUMOUR) == before).all()

    def cancel(self) -> None:
        begin = time.monotonic()
        self.effect.cancel()
        self.wait(lambda: not self.effect.contouring.busy, "the end of the cancelled run")
        assert time.monotonic() - begin < CANCEL_SECONDS
        assert self.effect.contouring.result is None
        assert self.effect.contouring.problem is None
        assert self.voxels(TUMOUR).sum() == 0

    def run_again_and_see(self) -> None:
        """The run goes on while the effect is left, as Slicer does it when another module is opened."""
        self.effect.run()
        self.wait(lambda: self.progress_done() > 0, "slices")
        self.editor.setActiveEffect(None)
        assert self.effect.contouring.running
        self.finish()
        self.editor.setActiveEffectByName("MedSAM")
        assert self.voxels(TUMOUR).sum() == 0
        assert len(self.effect.contouring.result) > 5
        assert len(self.effect.contouring.state.prompts.keys) == 1

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
        tumour = self.voxels(TUMOUR)
        self.editor.setCurrentSegmentID(NEIGHBOUR)
        self.wait(lambda: self.effect.contouring.state.segment_id == NEIGHBOUR, "the other segment")
        assert self.effect.contouring.state.prompts is None
        node = self.editor.mrmlSegmentEditorNode()
        node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedOutsideAllSegments)
        self.drag("Red", 1.4)
        self.finish()
        whole = self.result()
        self.effect.apply()
        assert (self.voxels(NEIGHBOUR) == whole & ~tumour).all()
        assert (self.voxels(TUMOUR) == tumour).all()
        node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere)
        self.editor.setCurrentSegmentID(TUMOUR)
        self.wait(lambda: self.effect.contouring.state.segment_id == TUMOUR, "the first segment")
        assert len(self.effect.contouring.state.prompts.keys) == 1

    def add_a_key_slice(self) -> None:
        self.effect.run()
        self.finish()
        (first,) = self.effect.contouring.state.prompts.keys
        before = self.effect.contouring.result
        self.go_to(first + 3)
        self.drag("Red", 0.5, shift=True)
        self.finish()
        contouring = self.effect.contouring
        assert sorted(contouring.state.prompts.keys) == [first, first + 3]
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

    def contour_inside_a_roi(self) -> None:
        self.effect.putROIAroundSegment()
        roi = self.effect.contouring.parameters.reference("ROI")
        assert self.effect.contouring.problem is None
        assert roi is not None
        self.effect.runInROI()
        self.finish()
        assert [key.origin for key in self.effect.contouring.state.prompts.keys.values()] == ["roi"]

    def contour_an_oblique_view(self) -> None:
        node = self.view("Green").mrmlSliceNode()
        normal, across = np.array([0.0, 0.8, 0.6]), np.array([1.0, 0.0, 0.0])
        node.SetSliceToRASByNTP(*normal, *across, *self.middle, 0)
        self.parameter("Reach", "slice")
        self.drag("Green", 1)
        self.finish()
        assert self.effect.contouring.state.plane.axis is None
        assert len(self.effect.contouring.result) == 1
        assert self.result().any()
        self.effect.discard()
        self.parameter("Reach", "object")

    def save_and_load(self) -> None:
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
        self.editor.setActiveEffectByName("MedSAM")
        self.wait(lambda: self.effect.contouring is not None, "the loaded segment")
        assert self.effect.contouring.state.prompts == drawn
        assert self.effect.contouring.parameters.mode == "replace"
        assert (self.voxels(TUMOUR) == voxels).all()
        self.effect.run()
        self.finish()
        self.effect.apply()
        assert (self.voxels(TUMOUR) == voxels).all()

    # What the steps are made of; a test host overrides some of it

    def make_volume(self) -> tuple[Any, np.ndarray]:
        """A chest of air with a bright ball of 14 mm radius, and the ball's middle in RAS."""
        shape, spacing = (40, 96, 96), np.array([1.2, 1.2, 2.0])
        k, j, i = np.indices(shape)
        inside = sum(((n - middle) * mm) ** 2 for n, middle, mm in zip((i, j, k), (44, 50, 19), spacing, strict=True))
        voxels = np.where(inside <= 14**2, 40, -900).astype(np.int16)
        volume = slicer.util.addVolumeFromArray(voxels, name="Chest")
        volume.SetSpacing(*spacing)
        volume.SetOrigin(-40, -50, 10)
        return volume, np.array([-40, -50, 10]) + np.array([44, 50, 19]) * spacing

    radius = 16.0
    """Half the side of the rectangle around the object, in mm."""

    def make_editor(self) -> Any:
        editor = slicer.qMRMLSegmentEditorWidget()
        editor.setMRMLScene(slicer.mrmlScene)
        self.node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
        editor.setMRMLSegmentEditorNode(self.node)
        return editor

    def drop_editor(self, editor: Any) -> None:
        editor.removeViewObservations()
        editor.deleteLater()

    def take_loaded_editor_node(self) -> None:
        node = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSegmentEditorNode")
        self.editor.setMRMLSegmentEditorNode(node)

    def show(self) -> None:
        slicer.util.setSliceViewerLayers(background=self.volume, fit=True)
        for name in ("Red", "Yellow", "Green"):
            self.view(name).mrmlSliceNode().JumpSliceByCentering(*self.middle)

    def start_effect(self) -> Any:
        self.editor.setActiveEffectByName("MedSAM")
        effect = self.editor.activeEffect().self()
        effect.make_transport = lambda: QProcessTransport(worker_command(SERVICE), child_environment([FOLDER]))
        return effect

    def wait(self, condition: Callable[[], Any], what: str, seconds: float = 30.0) -> None:
        """Let events happen until the condition holds."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"{what} did not come"
            slicer.app.processEvents()
            time.sleep(0.002)

    def finish(self) -> None:
        self.wait(lambda: not self.effect.contouring.running, "the end of the run")
        assert self.effect.contouring.problem is None
        assert self.effect.contouring.result is not None

    def progress_done(self) -> int:
        progress = self.effect.contouring.progress
        return 0 if progress is None else progress.done

    def parameter(self, name: str, value: str) -> None:
        self.effect.scriptedEffect.setParameter(name, value)

    def view(self, name: str) -> Any:
        return slicer.app.layoutManager().sliceWidget(name)

    def at(self, name: str, share: float) -> tuple[int, int]:
        """View pixel that lies `share` of the radius to the right of and above the object's middle."""
        node = self.view(name).mrmlSliceNode()
        to_xy = np.linalg.inv(slicer.util.arrayFromVTKMatrix(node.GetXYToRAS()))
        x, y = (to_xy @ [*self.middle, 1])[:2]
        pixels = share * self.radius * node.GetDimensions()[0] / node.GetFieldOfView()[0]
        return round(x + pixels), round(y + pixels)

    def send(self, name: str, event: str, share: float, shift: bool = False) -> None:
        interactor = self.view(name).sliceView().interactor()
        interactor.SetEventInformation(*self.at(name, share), 0, int(shift), "\0", 0, None)
        interactor.InvokeEvent(event)

    def press(self, name: str, share: float, shift: bool = False) -> None:
        self.send(name, "LeftButtonPressEvent", share, shift)

    def move(self, name: str, share: float, shift: bool = False) -> None:
        self.send(name, "MouseMoveEvent", share, shift)

    def release(self, name: str, share: float, shift: bool = False) -> None:
        self.send(name, "LeftButtonReleaseEvent", share, shift)

    def drag(self, name: str, half: float, shift: bool = False) -> None:
        """A rectangle around the object's middle, `half` radii to each side."""
        self.press(name, -half, shift)
        for n in range(1, 5):
            self.move(name, half * (n - 2) / 2, shift)
        self.release(name, half, shift)
        assert self.effect.contouring.problem is None

    def go_to(self, index: int) -> None:
        """Show a slice of the contour in the Red view."""
        contouring = self.effect.contouring
        middle = contouring.state.stack().slice_to_world(index) @ [0, 0, 0, 1]
        self.view("Red").mrmlSliceNode().JumpSliceByOffsetting(*map(float, middle[:3]))
        assert self.shown() == index

    def shown(self) -> int:
        from MedSAMSlicerLib.effect.slice_views import geometry_of

        return self.effect.contouring.state.index_in(geometry_of(self.view("Red")), self.effect.contouring.state.plane)

    def result(self) -> np.ndarray:
        """The result in the volume's voxels."""
        contouring = self.effect.contouring
        return np.asarray(contouring.state.stack(contouring.state.plane).to_volume(contouring.result.to_stack()))

    def voxels(self, segment: str) -> np.ndarray:
        array = slicer.util.arrayFromSegmentBinaryLabelmap(self.segmentation, segment, self.volume)
        return (
            np.asarray(array) > 0
            if array is not None
            else np.zeros(slicer.util.arrayFromVolume(self.volume).shape, bool)
        )
