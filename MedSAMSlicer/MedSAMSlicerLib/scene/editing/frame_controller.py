"""Contours all frames of the sequence that a volume shows, beginning with the current result, and writes them."""

from __future__ import annotations

from collections.abc import Callable

from ...engine.diagnostics.log import get_logger, log_error
from ...engine.errors import InputError, MedSAMError, as_user_error
from ...engine.i18n import tr as _
from ..state.segment_state import SegmentState
from ..volume.frames import Frames
from ..volume.geometry import label
from ..volume.slice_reader import displayed_window
from ..volume.slice_stack import default_axis_of
from ..worker.worker_client import WorkerClient
from ..writing.segmentation_sequence import write_sequence
from .frames_task import FramesTask

_log = get_logger(__name__)


class FrameController:
    """Starts and ends the `FramesTask` of a segment, at most one at a time, and says in the state's notes how far it is.

    Args:
        state: the segment and its current result.
        client: the engine, shared with the runs of the segment.
        wanted_window: returns the window, as for `SliceReader`.
    """

    def __init__(self, state: SegmentState, client: WorkerClient, wanted_window: Callable[[], str]) -> None:
        self._state, self._client, self._wanted_window = state, client, wanted_window
        self._task: FramesTask | None = None

    @property
    def running(self) -> bool:
        """Whether other frames are being contoured."""
        return self._task is not None and self._task.running

    @property
    def done(self) -> int:
        """Number of frames that are done; 0 if none were asked for."""
        return 0 if self._task is None else self._task.done

    def start(self) -> None:
        """Contour the other frames. The state's `problem` says why if that is not possible."""
        state = self._state
        state.problem, state.notes = None, []
        try:
            state.check_nodes()
            state.check_voxels()
            self._task = self._new_task()
        except MedSAMError as error:
            state.fail(error)
            return
        self._report()

    def step(self) -> None:
        """Continue; returns within a few hundredths of a second."""
        if self._task is not None:
            self._task.step()

    def cancel(self) -> None:
        """End without a result: nothing is written."""
        if self._task is not None:
            self._task.cancel()

    def _new_task(self) -> FramesTask:
        state, current = self._state, self._state.current
        frames = Frames.of(state.volume_node)
        if frames is None:
            text = _("{volume_node} is no frame of a sequence: load all frames as a sequence")
            raise InputError(text.format(volume_node=label(state.volume_node)))
        if current.result is None or current.plane is None or current.outdated or not current.result.pixels:
            raise InputError(_("there is no result to begin with: contour the object in this frame first"))
        window = self._wanted_window()
        return FramesTask(
            self._client,
            frames,
            state.volume_node,
            state.stack(current.plane).to_volume(current.result.to_stack()),
            current.plane.axis or default_axis_of(state.volume_node),
            displayed_window(state.volume_node) if window == "display" else window,
            state.parameters.choice,
            self._report,
            self._end,
        )

    def _report(self) -> None:
        if self._task is not None:
            text = _("Contouring all frames: {done} of {count}.")
            self._state.notes = [text.format(done=self._task.done, count=self._task.frames.count)]
            self._state.changed.emit()

    def _end(self) -> None:
        task, state = self._task, self._state
        if task is None:
            return
        state.notes = []
        if task.error is not None:
            state.fail(task.error)
            return
        try:
            state.notes = [self._write(task)]
            state.changed.emit()
        except Exception as error:
            log_error(_log, error, "the frames could not be written")
            state.fail(as_user_error(error))

    def _write(self, task: FramesTask) -> str:
        """Returns what the user should read about it."""
        state = self._state
        state.check_nodes()
        if Frames.of(state.volume_node) != task.frames:
            raise InputError(_("the sequence is gone, and nothing was written: load it again"))
        segment = state.segmentation_node.GetSegmentation().GetSegment(state.segment_id)
        node = write_sequence(task.frames, state.volume_node, segment, task.masks)
        text = _("{count} frames were contoured: segmentation '{name}' follows the sequence.")
        parts = [text.format(count=len(task.masks), name=node.GetName())]
        missing = [str(frame) for frame in range(task.frames.count) if frame not in task.masks]
        if missing:
            parts.append(_("No object was found in frames {frames}.").format(frames=", ".join(missing)))
        if task.review:
            review = ", ".join(map(str, sorted(task.review)))
            parts.append(_("Slices need review in frames {frames}.").format(frames=review))
        return " ".join(parts)
