"""The effect on a segment of a volume in a running Slicer: what the steps of its story are made of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import slicer

from MedSAMSlicerLib.effect.registration import register_effect
from MedSAMSlicerLib.effect.slice_views import geometry_of
from MedSAMSlicerLib.engine.environment import child_environment
from MedSAMSlicerLib.processes.qprocess_transport import QProcessTransport
from MedSAMSlicerLib.scene.worker.transport import worker_command
from support.slicer_session import ExceptionRecorder, Session

FOLDER = Path(__file__).resolve().parents[1]
SERVICE = "support.effect_services:NeedsReviewService"
TUMOUR, NEIGHBOUR = "tumour", "neighbour"


class EffectSession:
    """A volume with an object, a segmentation with two segments, and the effect active on the first of them.

    A test host overrides some of the methods that make these.

    Attributes:
        editor: Segment Editor of its own.
        effect: Python side of its effect.
        session: mouse and views.
        exceptions: what left slots and observers.
        transports: to each inference process that was started.
        radius: half the side of the rectangle around the object, in mm.
    """

    editor: Any = None
    effect: Any = None
    session: Any = None
    exceptions: Any = None
    radius = 16.0

    def setUp(self) -> None:
        try:
            self.begin()
        except BaseException:
            # unittest does not tear down what was not set up to its end.
            self.tearDown()
            raise

    def tearDown(self) -> None:
        editor, effect, session, exceptions = self.editor, self.effect, self.session, self.exceptions
        self.editor = self.effect = self.session = self.exceptions = None
        if editor is not None:
            editor.setActiveEffect(None)
        if effect is not None:
            effect.cleanup()
        if editor is not None:
            self.drop_editor(editor)
        if session is not None:
            session.close()
        slicer.mrmlScene.Clear(0)
        if exceptions is not None:
            exceptions.stop()

    def begin(self) -> None:
        slicer.mrmlScene.Clear(0)
        self.exceptions = ExceptionRecorder()
        self.exceptions.start()
        self.volume, middle = self.make_volume()
        self.session = self.make_session(middle)
        self.session.open_views(self.volume)
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
        self.transports: list[Any] = []
        self.effect = self.start_effect()

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

    def make_session(self, middle: np.ndarray) -> Session:
        return Session(middle, self.radius)

    def make_editor(self) -> Any:
        # The Segment Editor's own module would have the same keys in the same window.
        slicer.util.selectModule("Data")
        editor = self.make_second_editor()
        # As Slicer's module does when it is opened; this editor is shown nowhere.
        editor.installKeyboardShortcuts(slicer.util.mainWindow())
        return editor

    def make_second_editor(self) -> Any:
        editor = slicer.qMRMLSegmentEditorWidget()
        editor.setMRMLScene(slicer.mrmlScene)
        editor.setMRMLSegmentEditorNode(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentEditorNode"))
        return editor

    def drop_editor(self, editor: Any) -> None:
        editor.uninstallKeyboardShortcuts()
        editor.removeViewObservations()
        editor.deleteLater()

    def take_loaded_editor_node(self) -> None:
        """Beside that of the Segment Editor's module, which has no segmentation."""
        nodes = slicer.util.getNodesByClass("vtkMRMLSegmentEditorNode")
        self.editor.setMRMLSegmentEditorNode(
            next(node for node in nodes if node.GetSegmentationNode() is self.segmentation)
        )

    def start_effect(self) -> Any:
        self.editor.setActiveEffectByName("MedSAM")
        effect = self.editor.activeEffect().self()
        effect.make_transport = self.make_transport
        return effect

    def make_transport(self) -> QProcessTransport:
        self.transports.append(QProcessTransport(worker_command(SERVICE), child_environment([FOLDER])))
        return self.transports[-1]

    def wait(self, condition: Callable[[], Any], what: str) -> None:
        """Let events happen until the condition holds; slices that come in are progress."""
        self.session.wait(condition, what, self.progress_done)

    def wait_for_slices(self, count: int) -> None:
        self.wait(lambda: self.progress_done() >= count or not self.effect.contouring.busy, "slices")
        assert self.progress_done() >= count, "the run was over too soon"

    def finish(self) -> None:
        self.wait(lambda: not self.effect.contouring.running, "the end of the run")
        assert self.effect.contouring.problem is None, self.effect.contouring.problem
        assert self.effect.contouring.result is not None

    def progress_done(self) -> int:
        contouring = None if self.effect is None else self.effect.contouring
        progress = None if contouring is None else contouring.progress
        return 0 if progress is None else progress.done

    def drag(self, name: str, half: float, shift: bool = False) -> None:
        self.session.drag(name, half, shift)
        assert self.effect.contouring.problem is None, self.effect.contouring.problem

    @property
    def keys(self) -> dict[int, Any]:
        """The key slices of the selected segment."""
        prompts = self.effect.contouring.state.prompts
        return {} if prompts is None else dict(prompts.keys)

    def select(self, segment: str) -> None:
        self.editor.setCurrentSegmentID(segment)
        self.wait(lambda: self.effect.contouring.state.segment_id == segment, "the other segment")

    def allow(self, mode: int, segment: str = "") -> None:
        """Where the Segment Editor's masking allows changes."""
        node = self.editor.mrmlSegmentEditorNode()
        node.SetMaskSegmentID(segment)
        node.SetMaskMode(mode)

    def parameter(self, name: str, value: str) -> None:
        self.effect.scriptedEffect.setParameter(name, value)

    def go_to(self, index: int) -> None:
        """Show a slice of the contour in the Red view."""
        middle = self.effect.contouring.state.stack().slice_to_world(index) @ [0, 0, 0, 1]
        self.session.view("Red").mrmlSliceNode().JumpSliceByOffsetting(*map(float, middle[:3]))
        assert self.shown() == index

    def shown(self) -> int:
        state = self.effect.contouring.state
        return int(state.index_in(geometry_of(self.session.view("Red")), state.plane))

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

    @staticmethod
    def control_point(markup: Any, number: int) -> np.ndarray:
        return np.array(markup.GetNthControlPointPositionWorld(number))
