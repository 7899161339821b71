"""One run of the engine over a stack, whole or in part, with each slice told as it is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import slicer

from ...engine.errors import MedSAMError
from ...engine.intensity import Window
from ...engine.model_choice import ModelChoice
from ...engine.oriented_box import OrientedBox
from ...engine.prompts import StackPrompt
from ...engine.results import SliceResult, StackResult
from ...engine.serving.inference_client import InferenceClient
from ..state.partial_run import Part, PartStack, merged, prompt_for
from ..volume.slice_stack import SliceStack
from ..volume.view_plane import Plane
from ..worker.progress import Progress
from .session import Session, State


class PlaneSession(Session):
    """A `Session` over slices of any plane, or over a part of them."""

    def __init__(self, plane: Plane, part: Part | None, *arguments: Any, **options: Any) -> None:
        self._plane, self._part = plane, part
        super().__init__(*arguments, axis=plane.axis or "K", **options)

    @property
    def stack(self) -> SliceStack:
        stack = self._plane.stack(self.volume_node)
        # What a session asks of a stack while it runs, all of these have.
        return cast(SliceStack, stack if self._part is None else PartStack(stack, self._part))


class ContourRun:
    """Begins at once. Of `on_finished` and `on_failed` exactly one is called, and nothing after it.

    Args:
        plane, prompt, window, choice: what is to be run.
        solid: the slanted ROI that no mask may leave; None if there is none.
        part, earlier: the part to run, and the result that it becomes part of; None: the whole stack.
        on_slice: gets each slice of the stack as it is found.

    Raises:
        InputError: the prompt doesn't fit, or a node is gone.
        WorkerError: the inference process cannot be started.
    """

    def __init__(
        self,
        volume_node: slicer.vtkMRMLScalarVolumeNode,
        segmentation_node: slicer.vtkMRMLSegmentationNode,
        segment_id: str,
        runner: InferenceClient,
        *,
        plane: Plane,
        prompt: StackPrompt,
        window: Window,
        choice: ModelChoice,
        solid: OrientedBox | None,
        part: Part | None,
        earlier: StackResult | None,
        on_slice: Callable[[SliceResult], None],
        on_progress: Callable[[Progress], None],
        on_finished: Callable[[StackResult], None],
        on_failed: Callable[[MedSAMError], None],
    ) -> None:
        self._part, self._earlier = part, earlier
        self._on_slice, self._on_finished, self._on_failed = on_slice, on_finished, on_failed
        self.session = PlaneSession(
            plane,
            part,
            volume_node,
            segmentation_node,
            segment_id,
            runner,
            window,
            choice=choice,
        )
        try:
            self.session.set_prompt(prompt if part is None else prompt_for(part, prompt))
            self.session.solid = solid
            self.session.start(on_progress, self._finished, self._failed, self._found)
        except MedSAMError:
            self.session.close()
            raise

    @property
    def busy(self) -> bool:
        return self.session.state.busy

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self.session.state is State.CANCELLING

    @property
    def notes(self) -> list[str]:
        """What the engine wants the user to read; empty until the run has finished."""
        return [] if self.session.info is None else list(self.session.info.notes)

    def cancel(self) -> None:
        self.session.cancel()

    def _found(self, found: SliceResult) -> None:
        if self._part is None:
            self._on_slice(found)
        elif self._part.replaces(found.index + self._part.first):
            self._on_slice(replace(found, index=found.index + self._part.first))

    def _finished(self, result: StackResult) -> None:
        self.session.close()
        if self._part is not None and self._earlier is not None:
            result = merged(self._earlier, self._part, result)
        self._on_finished(result)

    def _failed(self, error: MedSAMError) -> None:
        self.session.close()
        self._on_failed(error)
