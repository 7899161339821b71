"""Contours an object in all frames of a sequence, beginning with a result in one of them."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import slicer

from ...engine.diagnostics.log import get_logger, log_error
from ...engine.errors import Cancelled, InputError, MedSAMError, as_user_error
from ...engine.finite import check_finite_in_prompt
from ...engine.i18n import tr as _
from ...engine.intensity import Steps, Window, window_steps
from ...engine.model_choice import ModelChoice
from ...engine.results import StackResult
from ...engine.volume.volume_prompt import box_around, volume_prompt
from ...engine.volume.voxel_box import CroppedMask
from ..volume.frames import Frames
from ..volume.geometry import voxel_sizes
from ..volume.slice_reader import SEARCH_SECONDS, modality_of
from ..volume.slice_stack import SliceStack
from ..worker.worker_client import WorkerClient
from .segmentation_run import SegmentationRun

_log = get_logger(__name__)


class FramesTask:
    """Carries a 3D box around the object from frame to frame: from the first frame to the last, then to those before it.

    The frames are read from the sequence, so the volume in the scene goes on showing the same one. The owner calls `step`
    and the client's `step` while `running`.

    Attributes:
        running: True until the task has ended.
        masks: frame -> mask of each frame that is done and has an object.
        review: frames with slices that need review.
        done: number of frames that are done.
        error: why the task has failed, `Cancelled` after `cancel`; None if it has not.

    Args:
        client: the engine.
        frames: the frames.
        volume_node: the volume that shows them.
        mask: bool (k, j, i), the object in the frame that is shown now; not empty.
        axis: index axis across the slices.
        window: as for `choose_window`; chosen for each frame.
        choice: model, device and runtime.
        on_frame: called when a frame is done.
        on_end: called once, when the task has ended.
    """

    def __init__(
        self,
        client: WorkerClient,
        frames: Frames,
        volume_node: slicer.vtkMRMLScalarVolumeNode,
        mask: np.ndarray,
        axis: str,
        window: str,
        choice: ModelChoice,
        on_frame: Callable[[], None],
        on_end: Callable[[], None],
    ) -> None:
        self.frames, self._client, self._axis, self._window, self._choice = frames, client, axis, window, choice
        self._on_frame, self._on_end = on_frame, on_end
        self._modality = modality_of(volume_node)
        shown, count = frames.shown, frames.count
        self._order = [*range(shown + 1, count), *range(shown - 1, -1, -1)]
        self.masks = {shown: CroppedMask.of(mask)}
        self.review: list[int] = []
        self._start_box = self._box = box_around(mask, voxel_sizes(SliceStack(volume_node, axis).ijk_to_world))
        self._first = shown
        self.done, self.running = 1, True
        self.error: MedSAMError | None = None
        self._steps: Steps | None = None
        self._run: SegmentationRun | None = None

    def step(self) -> None:
        """Continue the task; returns within a few hundredths of a second."""
        if not self.running or self._client.running:
            return
        if not self._order:
            self._end(None)
            return
        try:
            if self._steps is None:
                self._stack = SliceStack(self.frames.volume(self._order[0]), self._axis)
                self._steps = window_steps(self._window, self._stack, self._modality)
            window = self._search(self._steps)
            if window is not None:
                self._start(window)
        except InputError as error:
            self._end(InputError(_("frame {frame}: {error}").format(frame=self._order[0], error=error)))
        except Exception as error:
            if not isinstance(error, MedSAMError):
                log_error(_log, error, "a frame could not be contoured")
            self._end(as_user_error(error))

    def cancel(self) -> None:
        """End the task without a result."""
        if self._run is not None and self._run.running:
            self._run.cancel()
        elif self.running:
            self._end(Cancelled(_("cancelled: nothing was written")))

    @staticmethod
    def _search(steps: Steps) -> Window | None:
        end = time.monotonic() + SEARCH_SECONDS
        while time.monotonic() < end:
            try:
                next(steps)
            except StopIteration as finished:
                window: Window = finished.value
                return window
        return None

    def _start(self, window: Window) -> None:
        frame = self._order[0]
        if frame == self._first - 1:
            self._box = self._start_box
        prompt = volume_prompt(self._stack.dimensions, self._axis, None, box=self._box)
        check_finite_in_prompt(self._stack, prompt.stack)
        self._run = SegmentationRun(
            self._client,
            self._stack,
            prompt.stack,
            window,
            self._choice,
            on_finished=self._take,
            on_failed=self._end,
        )

    def _take(self, result: StackResult) -> None:
        frame = self._order.pop(0)
        self._run = self._steps = None
        mask = self._stack.to_volume(result.to_stack())
        if mask.any():
            self.masks[frame] = CroppedMask.of(mask)
            self._box = box_around(mask, voxel_sizes(self._stack.ijk_to_world))
        if any(found.needs_review for found in result):
            self.review.append(frame)
        self.done += 1
        self._on_frame()

    def _end(self, error: MedSAMError | None) -> None:
        self.running, self.error, self._run, self._steps = False, error, None, None
        self._on_end()
