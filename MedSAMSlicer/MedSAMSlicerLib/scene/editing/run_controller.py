"""The runs of a contouring: one is wanted, begins when it can, and ends in a kept result or in none."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ...engine.errors import Cancelled, MedSAMError
from ...engine.results import SliceResult, StackResult
from ...engine.serving.inference_client import InferenceClient
from ..state.current_result import Basis
from ..state.prompts import Prompts
from ..state.slice_range import reach_of
from ..worker.progress import Progress
from .contour_run import ContourRun

if TYPE_CHECKING:
    from .contour_editor import ContourEditor


class RunController:
    """At most one run at a time.

    Args:
        contouring: whose prompts are run, and that keeps the result.
        runner: computes.
        on_result: a run has finished, and no other is wanted.
    """

    def __init__(self, contouring: ContourEditor, runner: InferenceClient, on_result: Callable[[], None]) -> None:
        self._of, self._runner, self._on_result = contouring, runner, on_result
        self._run: ContourRun | None = None
        self.wanted = False
        """Whether a run is to begin as soon as there is a window and the runner is free."""
        self.progress: Progress | None = None
        self.before: list[Prompts | None] = []
        """The prompts before the rectangle or the ROI that began the run, if one of them did."""

    @property
    def under_way(self) -> bool:
        """Whether the engine is at a run, perhaps one that is about to stop."""
        return self._run is not None and self._run.busy

    @property
    def running(self) -> bool:
        """Whether a run goes on, or is about to begin."""
        return self.wanted or (self._run is not None and self._run.busy and not self._run.stopping)

    def want(self) -> None:
        """Have a run begin; the one that is under way ends."""
        self.stop()
        self.progress, self.wanted = None, True

    def stop(self) -> None:
        """End the run that is under way, and want none."""
        self.wanted, self.before = False, []
        if self._run is not None and self._run.busy:
            self._run.cancel()

    def begin(self) -> None:
        """Begin the run that is wanted, unless the runner is still at another one."""
        of = self._of
        if self._runner.running:
            return  # a run for another segment was cancelled and is about to end
        self.wanted = False
        prompts, window = of.prompts, of.reader.window
        if prompts is None or window is None:
            return
        try:
            reach = reach_of(of.parameters, prompts.plane, prompts.keys) if prompts.reach is None else None
            choice = of.parameters.choice
            prompt = prompts.stack_prompt(choice.model, reach)
            limits = (prompt.slice_range, prompt.box3d, prompts.solid)
            basis: Basis = (prompts.plane, limits, choice, of.reader.state)
            part = of.kept.part_for(prompts, basis)
            of.kept.begin(of.stack(), part)
            self._run = ContourRun(
                of.volume_node,
                of.segmentation_node,
                of.segment_id,
                self._runner,
                plane=prompts.plane,
                prompt=prompt,
                window=window,
                choice=choice,
                solid=prompts.solid,
                part=part,
                earlier=of.result,
                on_slice=lambda found: self._slice_found(found, prompts),
                on_progress=self._progressed,
                on_finished=lambda result: self._finished(result, prompts, basis, choice.model),
                on_failed=self._failed,
            )
            of.clicks.run_begins()
        except MedSAMError as error:
            self._failed(error)

    def _slice_found(self, found: SliceResult, prompts: Prompts) -> None:
        of = self._of
        of.kept.add(found)
        shown = of.preview.shown
        # What was clicked since the run began is newer than what it finds.
        if shown is not None and shown.index == found.index and prompts is of.prompts:
            of.preview.forget()

    def _progressed(self, progress: Progress) -> None:
        self.progress = progress
        self._of.tell()

    def _finished(self, result: StackResult, prompts: Prompts, basis: Basis, model: str) -> None:
        of = self._of
        of.notes = [] if self._run is None else self._run.notes
        self.progress, self.before = None, []
        of.kept.finish(result, prompts, basis, model)
        of.clicks.run_finished()
        of.rectangle.drop()
        of.forget_preview()
        of.tell()
        if not self.wanted:
            self._on_result()

    def _failed(self, error: MedSAMError) -> None:
        of = self._of
        self.progress = None
        if not of.hidden:
            try:
                of.kept.restore(of.stack)
            except MedSAMError:
                of.kept.image = None  # the volume has changed, which is why the run has failed
        if not self.wanted:
            of.rectangle.drop()
            of.forget_preview()
        if not isinstance(error, Cancelled):
            self.wanted = False
            of.problem = error
        of.tell()
