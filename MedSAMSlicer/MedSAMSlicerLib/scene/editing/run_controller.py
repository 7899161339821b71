"""Starts and ends the runs of a segment: at most one at a time, each with the segment's prompts at its start."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from ...engine.diagnostics.log import get_logger, log_error
from ...engine.errors import Cancelled, MedSAMError, as_user_error
from ...engine.finite import check_finite_in_prompt
from ...engine.provenance import provenance_text
from ...engine.results import SliceResult, StackResult
from ..state.current_result import FinishedRun, ResultBasis
from ..state.edits import Edits
from ..state.prompts import Prompts
from ..state.segment_state import SegmentState
from ..state.slice_range import chosen_slice_range
from ..volume.content import Content
from ..volume.slice_reader import SliceReader
from ..worker.progress import Progress
from ..worker.worker_client import WorkerClient
from .key_masks import EditedObject, with_edited_slices
from .segmentation_run import SegmentationRun

_log = get_logger(__name__)


class RunController:
    """Runs the prompts of a segment and puts what is found into its `current` result.

    Attributes:
        wanted: whether a run is to start as soon as the window is known and the client is free.
        before: the prompts before the rectangle or ROI that started the run, as a list of one; otherwise empty.

    Args:
        state: the segment.
        reader: gives the intensity window.
        client: the engine, perhaps shared with other segments.
        on_slice: called with each slice whose run still has the segment's prompts.
        on_finished: called when `current` has the result of a run.
        on_failed: called when a run has ended without a result, before the state's `problem` is set.
        edited: tells which slices the user has edited in the segment; None if nobody can.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        state: SegmentState,
        reader: SliceReader,
        client: WorkerClient,
        on_slice: Callable[[SliceResult], None],
        on_finished: Callable[[], None],
        on_failed: Callable[[], None],
        edited: EditedObject | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state, self._reader, self._client, self._clock = state, reader, client, clock
        self._on_slice, self._on_finished, self._on_failed = on_slice, on_finished, on_failed
        self._edited = edited
        self._run: SegmentationRun | None = None
        self._since = clock()
        self._first_seconds: float | None = None
        self.wanted = False
        self.before: list[Prompts | None] = []

    @property
    def under_way(self) -> bool:
        """Whether there is a run; it may have been cancelled since the last `step` of the client."""
        return self._run is not None and self._run.running

    @property
    def running(self) -> bool:
        """Whether a run is wanted, or under way and not stopping."""
        return self.wanted or (self._run is not None and self._run.running and not self._run.stopping)

    @property
    def progress(self) -> Progress | None:
        """Progress of the run at this moment; None if there is none, or another one is wanted."""
        return self._run.progress if self._run is not None and self.running and not self.wanted else None

    @property
    def found(self) -> StackResult | None:
        """What the run has found so far, with what it keeps of an earlier result; None without a run or a slice."""
        if self._run is None or not self.running or self.wanted or not self._run.answered:
            return None
        return self._run.found

    def want(self, before: list[Prompts | None] | None = None) -> None:
        """Cancel the run under way and have another one start. `before`: see there."""
        self.cancel()
        self.wanted, self.before = True, before or []
        self._since, self._first_seconds = self._clock(), None
        self._state.changed.emit()

    def cancel(self) -> None:
        """Cancel the run under way; none is wanted any more."""
        self.wanted, self.before = False, []
        if self._run is not None:
            self._run.cancel()

    def end(self, reason: MedSAMError) -> None:
        """As `cancel`; the run fails with `reason`."""
        self.wanted = False
        if self._run is not None:
            self._run.stop(reason)

    def start(self) -> None:
        """Start the run that is wanted, unless the window is unknown or the client is busy with another one."""
        state, prompts = self._state, self._state.prompts
        if self._client.running:
            return  # another segment's run was cancelled since the last step
        self.wanted = False
        window = self._reader.window
        if prompts is None or window is None:
            return
        try:
            state.check_nodes()
            stack = state.stack(prompts.plane)
            edits = Edits() if self._edited is None else self._edited.edits()
            prompts = with_edited_slices(state, edits, prompts, stack)
            if prompts is not state.prompts:
                state.amend_prompts(prompts)
            slice_range, choice = prompts.slice_range, state.parameters.choice
            if slice_range is None:
                slice_range = chosen_slice_range(state.parameters, prompts.plane, stack, prompts.keys)
            in_view = state.index_in_view(prompts.plane)
            prompt = prompts.stack_prompt(choice.model, slice_range, in_view).checked_for(stack.shape)
            check_finite_in_prompt(stack, prompt)
            basis = ResultBasis(
                prompts.plane, prompt.slice_range, prompt.box3d, prompts.oriented_box, choice, self._reader.state
            )
            part = state.current.part_for(prompts, basis)
            content = state.current.content_for(stack, part)
            state.current.begin(stack, part)
            self._run = SegmentationRun(
                self._client,
                stack,
                prompt,
                window,
                choice,
                oriented_box=prompts.oriented_box,
                part=part,
                earlier=state.current.result,
                on_slice=partial(self._show, prompts=prompts, content=content),
                on_finished=partial(self._finish, prompts=prompts, basis=basis, content=content, edits=edits),
                on_failed=self._fail,
            )
        except Exception as error:
            if not isinstance(error, MedSAMError):
                log_error(_log, error, "the run could not start")
            self._fail(as_user_error(error))
            return
        state.changed.emit()

    def _show(self, found: SliceResult, prompts: Prompts, content: Content) -> None:
        if self._first_seconds is None:
            self._first_seconds = self._clock() - self._since
        self._state.current.add(found)
        content.add(found.index)
        if prompts is self._state.prompts:
            self._on_slice(found)

    def _finish(
        self, result: StackResult, prompts: Prompts, basis: ResultBasis, content: Content, edits: Edits
    ) -> None:
        info = None if self._run is None else self._run.info
        self._state.notes = list(dict.fromkeys([*self._reader.notes, *([] if info is None else info.notes)]))
        self.before = []
        voxels, provenance = content.read(result.indices), ""
        if info is not None and info.loaded is not None:
            prompt = prompts.stack_prompt(basis.choice.model, basis.slice_range)
            provenance = provenance_text(info.loaded, prompt, result.slices_to_review)
        seconds = None if self._first_seconds is None else (self._first_seconds, self._clock() - self._since)
        run = FinishedRun(result, prompts, basis, voxels, provenance, seconds, edits)
        self._state.current.finish(run, drawn=True)
        self._state.current.compare_voxels(self._state.stack)
        self._on_finished()

    def _fail(self, error: MedSAMError) -> None:
        state = self._state
        state.show_result()
        self._on_failed()
        if not isinstance(error, Cancelled):
            self.wanted = False
        state.fail(error)
