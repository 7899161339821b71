"""One volume, one segment, its prompts and its engine: what every face drives."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import numpy as np
import slicer

from ...engine.errors import Cancelled, InputError, MedSAMError
from ...engine.i18n import tr as _
from ...engine.intensity import Window, WindowedStack, choose_window
from ...engine.model_choice import ModelChoice, RunInfo
from ...engine.prompts import Box, SlicePrompt, StackPrompt, as_slice_prompt
from ...engine.results import Prediction, SliceResult, StackResult
from ...engine.serving.inference_client import InferenceClient, RunListener, Stage, ignore
from ..state.modes import Mode
from ..volume.node_watch import NodeWatch
from ..volume.slice_stack import SliceStack, default_axis_of
from ..worker.progress import Progress, ProgressMeter
from ..writing.segment_writer import SegmentWriter, Written
from .given_prompts import GivenPrompts


class State(Enum):
    """Where a session stands."""

    IDLE = "idle"
    """No run was begun yet."""
    RUNNING = "running"
    CANCELLING = "cancelling"
    """The run was asked to stop and hasn't yet."""
    FINISHED = "finished"
    """There is a result to apply."""
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def busy(self) -> bool:
        """Whether a run is going on."""
        return self in (State.RUNNING, State.CANCELLING)


class Session(GivenPrompts):
    """Drives a run over one volume and writes its result into one segment, when told to and not before.

    Nothing blocks but `wait`. The owner calls `step` from a timer while the session is busy, or while its runner is
    not idle. Whatever happens to the nodes meanwhile, a run ends in exactly one of its two callbacks, and until
    `apply` the segmentation stays bit for bit as it was.

    Args:
        volume_node: read only.
        segmentation_node: of the same scene.
        segment_id: the segment that results are written to.
        runner: a `WorkerClient` or a `InProcessClient`. It may serve other sessions too, and is not closed by this one.
        window: a window, or what `choose_window` takes.
        modality: DICOM modality of the volume, if it is known; only read by the window "auto".
        axis: index axis to propagate along; None: `default_axis_of` the volume.
        choice: which model is to run.
        writer: writes the result; None: one in Segment Editor's default settings.

    Raises:
        InputError: a node or the segment is in no scene, the volume cannot be used, or the axis is unknown.
    """

    def __init__(
        self,
        volume_node: slicer.vtkMRMLScalarVolumeNode,
        segmentation_node: slicer.vtkMRMLSegmentationNode,
        segment_id: str,
        runner: InferenceClient,
        window: Window | str = "auto",
        *,
        modality: str | None = None,
        axis: str | None = None,
        choice: ModelChoice | None = None,
        writer: SegmentWriter | None = None,
    ) -> None:
        super().__init__()
        self.volume_node, self.segmentation_node, self.segment_id = volume_node, segmentation_node, segment_id
        self.runner = runner
        self.choice = choice or ModelChoice()
        self.window = window
        self.modality = modality
        self._watch = NodeWatch(volume_node, segmentation_node, segment_id, self._stop)
        self._axis = axis or default_axis_of(volume_node)
        self.stack  # noqa: B018  (a volume or axis that cannot be used is refused now, not at the first run)
        self._writer, self._own_writer = writer, writer is None
        self._state = State.IDLE
        self._error: MedSAMError | None = None
        self._result: StackResult | None = None
        self._info: RunInfo | None = None
        self._ending: MedSAMError | None = None
        self._chosen: tuple[tuple[str, str | None], Window] | None = None

    # What is to be segmented

    @property
    def axis(self) -> str:
        """Index axis that slices are counted along: "I", "J" or "K"."""
        return self._axis

    @property
    def stack(self) -> SliceStack:
        """The volume as it is now, in slices along `axis`. Raises InputError if it cannot be used."""
        return SliceStack(self.volume_node, self.axis)

    # What has come of it

    @property
    def state(self) -> State:
        return self._state

    @property
    def error(self) -> MedSAMError | None:
        """Why the last run failed or was cancelled."""
        return self._error

    @property
    def result(self) -> StackResult | None:
        """The result of the last run, in slices along the axis of that run; None unless it is finished."""
        return self._result if self._state is State.FINISHED else None

    @property
    def info(self) -> RunInfo | None:
        """What ran, how long it took, and what the user should read; None unless the last run is finished."""
        return self._info if self._state is State.FINISHED else None

    def start(
        self,
        on_progress: Callable[[Progress], None] = ignore,
        on_finished: Callable[[StackResult], None] = ignore,
        on_failed: Callable[[MedSAMError], None] = ignore,
        on_slice: Callable[[SliceResult], None] = ignore,
    ) -> None:
        """Begin a run; an earlier result is dropped.

        Args:
            on_progress: called at every stage and every slice.
            on_finished: the run is over and may be applied.
            on_failed: the run is over without a result; `Cancelled` if the user wanted it so.
            on_slice: gets each slice as it is found.

        Raises:
            InputError: a run goes on, a node or the segment is gone, there is no prompt or it does not fit.
            WorkerError: the inference process cannot be started.
        """
        if self._state.busy:
            raise InputError(_("a contour is being computed already: wait for it, or cancel it"))
        self._watch.check()
        stack, prompt, solid = self.stack, self.prompt, self.solid
        source = WindowedStack(stack, self._window_for(stack))
        meter = ProgressMeter(None if prompt.slice_range is None else prompt.slice_range[1] - prompt.slice_range[0] + 1)
        collected = StackResult(stack.shape)

        def stage_entered(stage: Stage) -> None:
            on_progress(meter.enter(stage))

        def slice_found(found: SliceResult) -> None:
            if solid is not None:
                found = solid.limited(found, stack.slice_to_world(found.index))
            collected.add(found)
            on_progress(meter.count())
            on_slice(found)

        def finished(info: RunInfo) -> None:
            self._state, self._result, self._info = State.FINISHED, collected, info
            on_finished(collected)

        def failed(error: MedSAMError) -> None:
            ended = self._ending or error
            self._error = ended
            self._state = State.CANCELLED if isinstance(ended, Cancelled) else State.FAILED
            on_failed(ended)

        before, self._state, self._ending = self._state, State.RUNNING, None
        try:
            self.runner.segment(self.choice, source, prompt, RunListener(slice_found, finished, failed, stage_entered))
        except MedSAMError:
            self._state = before
            raise

    def cancel(self) -> None:
        """Have the run end without a result, at the next slice at the latest; `on_failed` gets `Cancelled`."""
        self._stop(Cancelled(_("cancelled: nothing was written")))

    def step(self, timeout: float = 0.0) -> None:
        """Let work go on; see `InferenceClient.step`."""
        self.runner.step(timeout)

    def wait(self) -> StackResult:
        """Step until the run is over, for scripts. Raises the error with which it ended, or InputError without a run."""
        while self._state.busy:
            self.step(0.1)
        if self._state in (State.FAILED, State.CANCELLED) and self._error is not None:
            raise self._error
        if self._state is not State.FINISHED or self._result is None:
            raise InputError(_("there is no run to wait for: start one first"))
        return self._result

    def apply(self, mode: Mode = "add") -> Written:
        """Write the result into the segment, in one undo step of the writer's logic.

        Raises:
            InputError: there is no result, a node or the segment is gone, or the volume has another size by now.
            MedSAMError: Segment Editor could not write; the segmentation is as it was.
        """
        if self.result is None:
            raise InputError(_("there is no result to write: start a run and let it finish"))
        self._watch.check()
        mask = self.stack.to_volume(self.result.to_stack())
        return self.writer.write(mask, self.volume_node, self.segment_id, mode)

    @property
    def writer(self) -> SegmentWriter:
        """What `apply` writes through; its logic holds undo and redo."""
        if self._writer is None:
            self._writer = SegmentWriter.for_nodes(self.segmentation_node, self.volume_node)
        return self._writer

    # One slice at a time

    def preview(
        self,
        index: int,
        prompt: Box | SlicePrompt,
        on_prediction: Callable[[Prediction], None],
        on_failed: Callable[[MedSAMError], None] = ignore,
    ) -> None:
        """Ask for the mask on slice `index`; writes nothing. One overtaken by a newer one is never answered.

        Each answer's `low_res_logits` may go into the next prompt's `MaskPrompt`, where the model takes masks: so each
        click refines what the earlier ones have found.

        Raises:
            InputError: the slice or the prompt lies outside the volume.
            WorkerError: the inference process cannot be started.
        """
        given = as_slice_prompt(prompt)
        StackPrompt({index: given}).checked_for(self.stack.shape)
        self.runner.preview(self.choice, self._slice(index), given, on_prediction, on_failed)

    def prepare(self, index: int) -> None:
        """Have slice `index` encoded ahead of its preview. Raises as `preview` does."""
        if not 0 <= index < self.stack.shape[0]:
            raise InputError(
                _("slice {index} lies outside the volume: slices run from 0 to {last}").format(
                    index=index, last=self.stack.shape[0] - 1
                )
            )
        self.runner.encode(self.choice, self._slice(index))

    def close(self) -> None:
        """Cancel what goes on and let go of the scene. The runner stays open."""
        self.cancel()
        self._watch.stop()
        if self._own_writer and self._writer is not None:
            editor_node = self._writer.logic.GetSegmentEditorNode()
            if editor_node is not None and editor_node.GetScene() is not None:
                editor_node.GetScene().RemoveNode(editor_node)
            self._writer = None

    def _slice(self, index: int) -> np.ndarray:
        stack = self.stack
        return WindowedStack(stack, self._window_for(stack)).slice_uint8(index)

    def _window_for(self, stack: SliceStack) -> Window:
        if isinstance(self.window, Window):
            return self.window
        # Reads every voxel, so it is done once for a name.
        wanted = (self.window, self.modality)
        if self._chosen is None or self._chosen[0] != wanted:
            self._chosen = (wanted, choose_window(self.window, stack, self.modality))
        return self._chosen[1]

    def _stop(self, reason: MedSAMError) -> None:
        if self._state is State.RUNNING:
            self._state, self._ending = State.CANCELLING, reason
            self.runner.cancel()
