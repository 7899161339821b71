"""The task of a script: segments one object of a volume and writes it into a segment."""

from __future__ import annotations

from collections.abc import Callable

import slicer

from ...engine.diagnostics.log import get_logger, log_error
from ...engine.errors import Cancelled, InputError, MedSAMError, as_user_error
from ...engine.finite import check_finite_in_prompt
from ...engine.i18n import tr as _
from ...engine.intensity import Window
from ...engine.model_choice import ModelChoice, RunInfo
from ...engine.provenance import provenance_text
from ...engine.results import StackResult
from ...engine.volume.volume_prompt import VolumePrompt
from ..state.modes import Mode
from ..volume.content import Content
from ..volume.geometry import label
from ..volume.slice_reader import SliceReader, displayed_window
from ..volume.slice_stack import SliceStack
from ..volume.view_plane import Plane
from ..worker.active_run import ignore
from ..worker.progress import Progress
from ..worker.worker_client import WorkerClient
from ..writing.segment_tags import slice_names
from ..writing.segment_target import SegmentTarget
from ..writing.segment_writer import Written
from .segmentation_run import SegmentationRun

_log = get_logger(__name__)


class SegmentTask:
    """Finds the intensity window, runs the engine and writes the result into a segment, in one undo step.

    The owner calls `step` from a timer while `running`. Until the result is written, neither the scene nor the
    segmentation changes. When the volume, the segmentation or the segment leaves the scene, the task fails.

    Attributes:
        running: True until the task has finished or failed.
        progress: progress of the run; None before it has started.
        segment_id: ID of the segment; None until the result is written.
        error: why the task has failed, `Cancelled` after `cancel`; None if it has not.
        result: masks and confidences by slice; None until the task has finished.
        info: model, device, timings and notes; None until the run has finished.
        written: voxels written, kept as they were by masking, and lost outside the segmentation; None until the result
            is written.

    Args:
        client: the engine; it runs one task at a time.
        volume_node: the volume.
        prompt: the object, in voxels of the volume.
        target: the segment, which may not exist yet.
        window: as for `choose_window`, or "display": as the volume is displayed.
        choice: model, device and runtime.
        mode: how the result changes the segment: "add", "replace" or "remove".
        on_progress: called with each new `progress`.
        on_finished: called once, at the end, with `segment_id` or with `error`.

    Raises:
        InputError: the prompt, the window or a node cannot be used, or the client is busy.
    """

    def __init__(
        self,
        client: WorkerClient,
        volume_node: slicer.vtkMRMLScalarVolumeNode,
        prompt: VolumePrompt,
        target: SegmentTarget,
        *,
        window: str = "auto",
        choice: ModelChoice | None = None,
        mode: Mode = "add",
        on_progress: Callable[[Progress], None] = ignore,
        on_finished: Callable[[str | MedSAMError], None] = ignore,
    ) -> None:
        if client.running:
            raise InputError(_("another segmentation is running: wait for it, or cancel it"))
        wanted = displayed_window(volume_node) if window == "display" else window
        self._client, self._volume_node, self._prompt, self._target = client, volume_node, prompt, target
        self._choice, self._mode = choice or ModelChoice(), mode
        self._on_progress, self._on_finished = on_progress, on_finished
        self._stack = SliceStack(volume_node, prompt.axis)
        self._content = Content(self._stack)
        self._reader = SliceReader(volume_node, lambda: wanted)
        self._run: SegmentationRun | None = None
        self._stop_reason: MedSAMError | None = None
        self.running = True
        self.progress: Progress | None = None
        self.segment_id: str | None = None
        self.error: MedSAMError | None = None
        self.result: StackResult | None = None
        self.info: RunInfo | None = None
        self.written: Written | None = None
        target.watch(self.stop)

    def step(self) -> None:
        """Continue the task; returns within a few hundredths of a second."""
        if not self.running:
            return
        if self._run is not None:
            self._client.step()
            return
        try:
            if self._stop_reason is not None:
                raise self._stop_reason
            window = self._reader.advance()
            if window is not None:
                self._start(window)
        except Exception as error:
            # Whatever happens here, the task has to end: somebody may be waiting for it.
            if not isinstance(error, MedSAMError):
                log_error(_log, error, "the segmentation failed")
            self._fail(as_user_error(error))

    def _start(self, window: Window) -> None:
        check_finite_in_prompt(self._stack, self._prompt.stack)
        self._run = SegmentationRun(
            self._client,
            self._stack,
            self._prompt.stack,
            window,
            self._choice,
            oriented_box=self._prompt.oriented_box,
            on_progress=self._report,
            on_finished=self._write,
            on_failed=self._fail,
        )
        if self._stop_reason is not None:  # the progress callback failed while the run started
            self._run.stop(self._stop_reason)

    def cancel(self) -> None:
        """End the task without a result, in the next `step`."""
        self.stop(Cancelled(_("cancelled: nothing was written")))

    def stop(self, reason: MedSAMError) -> None:
        """As `cancel`, with another reason for `error`. The first reason counts."""
        if self._run is not None:
            self._run.stop(reason)
        # Otherwise the next step ends the task: this may be called while a node is being removed.
        self._stop_reason = self._stop_reason or reason

    def _report(self, progress: Progress) -> None:
        self.progress = progress
        try:
            self._on_progress(progress)
        except Exception as error:
            # It must not interrupt the client half-way, which would stay busy.
            log_error(_log, error, "the progress callback failed")
            self.stop(as_user_error(error))

    def _write(self, result: StackResult) -> None:
        self.info = None if self._run is None else self._run.info
        if self.info is not None:
            self.info.notes[:0] = self._reader.notes
            for note in self._reader.notes:
                _log.info("note: %s", note)
        try:
            if not result.pixels:
                raise InputError(_("the model found no object: check the prompt and the window"))
            # The volume may have changed since the run started, so that the result does not fit it any more.
            stack = SliceStack(self._volume_node, self._prompt.axis)
            mask = stack.to_volume(result.to_stack())
            voxels = self._content.read(result.indices)
            if voxels is None or not voxels.are_in(stack):
                text = _(
                    "the voxels of {volume_node} have changed during the run and nothing was written: run it again"
                )
                raise InputError(text.format(volume_node=label(self._volume_node)))
            provenance = ""
            if self.info is not None and self.info.loaded is not None:
                provenance = provenance_text(self.info.loaded, self._prompt.stack, result.slices_to_review)
            to_review = slice_names(self._volume_node, Plane(self._prompt.axis), result.slices_to_review)
            self.segment_id, self.written = self._target.write(mask, self._mode, provenance, to_review)
        except Exception as error:
            log_error(_log, error, "the result could not be written")
            self._fail(as_user_error(error))
            return
        self.result = result
        self._end(self.segment_id)

    def _fail(self, error: MedSAMError) -> None:
        self.error = error
        self._end(error)

    def _end(self, outcome: str | MedSAMError) -> None:
        self.running = False
        self._target.unwatch()
        self._on_finished(outcome)
