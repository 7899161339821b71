"""One run of the engine over a stack of slices: started, followed slice by slice, cancelled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ...engine.errors import Cancelled, MedSAMError
from ...engine.i18n import tr as _
from ...engine.intensity import Window, WindowedStack
from ...engine.model_choice import ModelChoice, RunInfo
from ...engine.prompts import StackPrompt
from ...engine.results import SliceResult, StackResult
from ...engine.volume.oriented_box import OrientedBox
from ..state.partial_run import PartialRun, PartialStack
from ..volume.view_plane import Stack
from ..worker.active_run import RunListener, Stage, ignore
from ..worker.progress import Progress, ProgressMeter
from ..worker.worker_client import WorkerClient


class SegmentationRun:
    """Segments a stack of slices of any plane, or a part of it, with an `WorkerClient`. Writes nothing.

    The run starts on creation and advances while its owner calls the client's `step`. Of `on_finished` and `on_failed`
    exactly one is called, once, and no callback after it.

    Attributes:
        running: True until one of these two is called.
        answered: True once a slice of this run is among `found`, perhaps provisionally.
        found: masks found so far, and those that a `part` keeps.
        result: masks of the whole stack; None until the run has finished.
        info: what ran, how long it took and notes for the user; None until the run has finished.
        error: why the run ended without a result; None if it has not.

    Args:
        client: runs one `SegmentationRun` at a time; it stays open.
        stack: slices in scanner values.
        prompt: prompts in slice pixels of `stack`.
        window: maps scanner values to the grey levels that the model sees.
        choice: model, device and runtime.
        oriented_box: rotated ROI that no mask may leave.
        part: the slices to segment; None: all of them.
        earlier: result that a `part` updates. Its other slices are taken over.
        on_slice: gets each new slice as it is found, with its index in `stack`; in a 3D box some slices provisionally first.
        on_progress: called at each stage, and for each slice before `on_slice`.
        on_finished: gets `result`.
        on_failed: gets `error`; that is `Cancelled` after `cancel`.

    Raises:
        InputError: the prompt does not fit the stack, or the client is busy with another run.
        WorkerError: the inference process cannot be started.
    """

    def __init__(
        self,
        client: WorkerClient,
        stack: Stack,
        prompt: StackPrompt,
        window: Window,
        choice: ModelChoice,
        *,
        oriented_box: OrientedBox | None = None,
        part: PartialRun | None = None,
        earlier: StackResult | None = None,
        on_slice: Callable[[SliceResult], None] = ignore,
        on_progress: Callable[[Progress], None] = ignore,
        on_finished: Callable[[StackResult], None] = ignore,
        on_failed: Callable[[MedSAMError], None] = ignore,
    ) -> None:
        prompt.checked_for(stack.shape)
        self._client, self._stack, self._oriented_box, self._part = client, stack, oriented_box, part
        self._on_slice, self._on_progress = on_slice, on_progress
        self._on_finished, self._on_failed = on_finished, on_failed
        self.running, self.answered = True, False
        self.result: StackResult | None = None
        self.info: RunInfo | None = None
        self.error: MedSAMError | None = None
        self._stop_reason: MedSAMError | None = None
        self._key_masks = prompt.key_masks.keys()
        self.found = StackResult(stack.shape)
        if part is not None:
            prompt = part.prompt_of(prompt)
            if earlier is not None:
                self.found.take_over(earlier, part.kept(earlier))
        slices = (0, 0) if stack.shape[0] == 1 else prompt.slice_range
        self._meter = ProgressMeter(None if slices is None else slices[1] - slices[0] + 1)
        source = WindowedStack(stack if part is None else PartialStack(stack, part), window)
        listener = RunListener(self._slice_found, self._finish, self._fail, self._enter_stage)
        client.segment(choice, source, prompt, listener)

    @property
    def stopping(self) -> bool:
        """Whether the run was told to stop, which the next `step` of the client reports."""
        return self.running and self._stop_reason is not None

    @property
    def progress(self) -> Progress:
        """Progress at this moment."""
        return self._meter.now()

    def cancel(self) -> None:
        """End the run without a result; `on_failed` gets `Cancelled` in the next `step` of the client."""
        self.stop(Cancelled(_("cancelled: nothing was written")))

    def stop(self, reason: MedSAMError) -> None:
        """As `cancel`, for another reason, which `on_failed` gets. The first reason counts."""
        if self.running and self._stop_reason is None:
            self._stop_reason = reason
            self._client.cancel()

    def _enter_stage(self, stage: Stage) -> None:
        self._on_progress(self._meter.enter(stage))

    def _slice_found(self, found: SliceResult) -> None:
        if self._part is not None:
            found = replace(found, index=found.index + self._part.first)
        if self._oriented_box is not None and found.index not in self._key_masks:
            found = self._oriented_box.limited(found, self._stack.slice_to_world(found.index))
        is_new = self._part is None or self._part.replaces(found.index)
        if is_new:
            self.found.add(found)
            self.answered = True
        self._on_progress(self._meter.now() if found.provisional else self._meter.count())
        if is_new:
            self._on_slice(found)

    def _finish(self, info: RunInfo) -> None:
        self.running, self.result, self.info = False, self.found, info
        self._on_finished(self.found)

    def _fail(self, error: MedSAMError) -> None:
        self.running, self.error = False, self._stop_reason or error
        self._on_failed(self.error)
