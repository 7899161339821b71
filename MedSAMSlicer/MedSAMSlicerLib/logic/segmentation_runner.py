"""Runs the segmentations that scripts start, one at a time, in an inference process of its own."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any, cast

import qt
import slicer
from slicer.i18n import tr as _

from ..engine.environment import DEFAULT_MODEL
from ..engine.errors import InputError, MedSAMError, WorkerError, shown
from ..engine.intensity import window_option
from ..engine.model_choice import DEVICES, ModelChoice
from ..engine.models.catalogue import find_model
from ..engine.volume.volume_prompt import volume_prompt
from ..panel import settings
from ..panel.setup import embedding_caches
from ..processes.qprocess_transport import inference_process
from ..scene.editing.segment_task import SegmentTask
from ..scene.roi.conversion import roi_to_boxes
from ..scene.state.modes import MODES, Mode
from ..scene.volume.slice_stack import SliceStack, default_axis_of
from ..scene.worker.active_run import ignore
from ..scene.worker.progress import Progress
from ..scene.worker.transport import Transport
from ..scene.worker.worker_client import WorkerClient
from ..scene.writing.segment_target import SegmentTarget

STEP_MILLISECONDS = 20


class SegmentationRunner:
    """Starts segmentations and advances them from a timer. The inference process is reused for the next segmentation.

    Args:
        make_transport: creates the transport to an inference process; called when one is needed.
    """

    def __init__(self, make_transport: Callable[[], Transport] = inference_process) -> None:
        self._client = WorkerClient(make_transport)
        # Qt's connections keep the client and its process alive. At exit, Slicer itself ends the process.
        weakref.finalize(self, self._client.close).atexit = False
        self._task: SegmentTask | None = None
        self._timer = qt.QTimer()
        self._timer.interval = STEP_MILLISECONDS
        self._loop: qt.QEventLoop | None = None
        self._clear_requested = False
        embedding_caches.register(self)

    def start(
        self,
        volume_node: slicer.vtkMRMLScalarVolumeNode,
        roi_node: slicer.vtkMRMLMarkupsROINode | None,
        segmentation_node: slicer.vtkMRMLSegmentationNode | None,
        segment_name: str,
        *,
        axis: str | None,
        window: str | Sequence[float],
        model: str | None,
        device: str,
        mode: str,
        progress: Callable[[Progress], None] | None,
        finished: Callable[[str | MedSAMError], None] | None,
        **prompts: Any,
    ) -> SegmentTask:
        """Start a segmentation and return at once; see `MedSAMSlicerLogic.startSegmentation`.

        Args:
            prompts: as for `volume_prompt`.
        """
        if self._task is not None:
            raise InputError(_("another segmentation is running: wait for it, or cancel it"))
        _check_class("volumeNode", volume_node, "vtkMRMLScalarVolumeNode")
        _check_class("roiNode", roi_node, "vtkMRMLMarkupsROINode", optional=True)
        _check_class("segmentationNode", segmentation_node, "vtkMRMLSegmentationNode", optional=True)
        if not isinstance(segment_name, str) or not segment_name:
            raise InputError(_("the segment has no name: give segmentName"))
        for name, callback in (("progress", progress), ("finished", finished)):
            if callback is not None and not callable(callback):
                raise InputError(_("{name} cannot be called: give a function").format(name=name))
        _check_choice("mode", mode, MODES)
        _check_choice("device", device, DEVICES)
        stack = SliceStack(volume_node, default_axis_of(volume_node) if axis is None else axis)
        roi = None if roi_node is None else roi_to_boxes(roi_node, stack.ijk_to_world, stack.dimensions)
        prompt = volume_prompt(stack.dimensions, stack.axis, roi, **prompts)
        model = DEFAULT_MODEL if model is None else model
        find_model(model).check_prompts(*(given.kinds for given in prompt.stack.slices.values()))
        # Inference processes read the settings from environment variables.
        settings.apply()
        self._task = SegmentTask(
            self._client,
            volume_node,
            prompt,
            SegmentTarget(volume_node, segmentation_node, segment_name, _save_for_undo),
            window=window_option(window),
            choice=ModelChoice.preferring(model, device, settings.preferred()),
            mode=cast(Mode, mode),
            on_progress=progress or ignore,
            on_finished=lambda outcome: self._finish(outcome, finished),
        )
        self._timer.connect("timeout()", self._step)
        self._timer.start()
        return self._task

    def wait(self, task: SegmentTask) -> str:
        """Wait for the end of the running task while Slicer processes events. Returns the ID of the segment.

        Raises:
            MedSAMError: the segmentation has failed; nothing was written.
        """
        self._loop = loop = qt.QEventLoop()
        # An event loop also ends when the application quits; a loop over `processEvents` would not.
        loop.exec()
        self._loop = None
        if task.running:
            task.stop(WorkerError(_("the application is closing: nothing was written")))
            self.close()
        if task.error is not None:
            raise task.error
        assert task.segment_id is not None
        return task.segment_id

    def clear_embedding_cache(self) -> bool:
        """As `CacheOwner.clear_embedding_cache`: the process ends as soon as no segmentation is running."""
        existed = self._client.transport is not None
        self._clear_requested = True
        self._clear_if_idle()
        return existed

    def close(self) -> None:
        """Cancel the running segmentation and end the inference process. The runner can be used again afterwards."""
        task = self._task
        if task is not None:
            task.cancel()
        self._client.close()
        if task is not None:
            task.step()

    def _step(self) -> None:
        if self._task is not None:
            self._task.step()

    def _finish(self, outcome: str | MedSAMError, finished: Callable[[str | MedSAMError], None] | None) -> None:
        # A finished task would keep its volume in memory.
        self._task = None
        self._timer.stop()
        # The connection would keep this object alive, in a cycle through Qt that Python cannot collect.
        self._timer.disconnect("timeout()", self._step)
        if self._loop is not None:
            self._loop.quit()
        self._clear_if_idle()
        if finished is not None:
            finished(outcome)

    def _clear_if_idle(self) -> None:
        if self._clear_requested and self._client.idle:
            self._clear_requested = False
            self._client.close()


def _save_for_undo(segmentation_node: slicer.vtkMRMLSegmentationNode) -> None:
    """Save an undo state in the Segment Editor if it is editing this segmentation."""
    module_widget = getattr(slicer.modules, "SegmentEditorWidget", None)
    editor: slicer.qMRMLSegmentEditorWidget | None = None if module_widget is None else module_widget.editor
    if editor is not None and editor.segmentationNode() is segmentation_node:
        editor.saveStateForUndo()


def _check_class(name: str, node: Any, class_name: str, optional: bool = False) -> None:
    if node is None and optional:
        return
    if node is None or not hasattr(node, "IsA") or not node.IsA(class_name):
        kind = node.GetClassName() if hasattr(node, "GetClassName") else type(node).__name__
        raise InputError(_("{name} is a {kind}: give a {expected}").format(name=name, kind=kind, expected=class_name))


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if not isinstance(value, str) or value not in choices:
        raise InputError(
            _("{name} is {value}: choose one of {choices}").format(
                name=name, value=shown(value), choices=", ".join(choices)
            )
        )
