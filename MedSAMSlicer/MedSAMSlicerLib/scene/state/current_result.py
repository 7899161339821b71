"""The current result of a segment, what it was made from, and which part of it a new run has to replace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ...engine.errors import InputError
from ...engine.model_choice import ModelChoice
from ...engine.prompts import Box
from ...engine.results import SliceResult, StackResult
from ...engine.volume.oriented_box import OrientedBox
from ..display.overlay import StackImage
from ..volume.content import Content, ReadVoxels
from ..volume.slice_stack import SliceStack
from ..volume.view_plane import Plane, Stack
from .edits import Edits
from .partial_run import PartialRun, partial_run_for
from .prompts import Prompts
from .stored_mask import StoredMask


@dataclass(frozen=True)
class ResultBasis:
    """What a result depends on besides the prompts of its key slices.

    Attributes:
        plane: plane of the slices.
        slice_range, box3d: as in `StackPrompt`.
        oriented_box: rotated ROI that limits the masks.
        choice: model, device and runtime.
        images: `SliceReader.state`, which differs when slices look different.
    """

    plane: Plane
    slice_range: tuple[int, int] | None
    box3d: Box | None
    oriented_box: OrientedBox | None
    choice: ModelChoice
    images: tuple[object, ...]


@dataclass(frozen=True)
class FinishedRun:
    """The result of a run, and what it was made from.

    Attributes:
        result: masks of the stack.
        prompts, basis: what the run was given.
        voxels: the voxels of the result's slices; None if some were edited during the run.
        provenance: see `provenance_text`; empty if it is not known.
        seconds: from the user's action to the first new slice, and to the last; None if there was none.
        edits: what the user had edited in the segment when the run began: the run has used it, or something else that the
            user has marked there since.
    """

    result: StackResult
    prompts: Prompts
    basis: ResultBasis
    voxels: ReadVoxels | None
    provenance: str = ""
    seconds: tuple[float, float] | None = None
    edits: Edits = field(default_factory=Edits)


class CurrentResult:
    """The result of the last finished run, if there is one.

    Attributes:
        run: that run; None if there is no result.
        image: image of the result for the views; during a run, of what that run has found so far and will not replace.
        applied: whether the segment holds the result: it was written, and not undone.
        undone: whether writing it was undone.
        outdated: whether the volume holds other voxels than those that the result was made from. No prediction starts
            from it then.
        seen: slices of the result that the user has looked at since they were contoured.
        settled: slices whose final masks the user has chosen or removed since, and the object in the segment on them at that
            time: only what is edited after that counts; see `settles`.
    """

    def __init__(self) -> None:
        self.run: FinishedRun | None = None
        self.seen: frozenset[int] = frozenset()
        self.settled: dict[int, np.ndarray | None] = {}
        self.image: StackImage | None = None
        self._drawn: tuple[FinishedRun, StackImage] | None = None
        """A run and the image of its result, to be shown again if the next run ends without one."""
        self.applied = self.undone = self.outdated = False

    @property
    def result(self) -> StackResult | None:
        """Masks of the stack; None if there is no result."""
        return None if self.run is None else self.run.result

    @property
    def prompts(self) -> Prompts | None:
        """The prompts that the result was made from; None if there is no result."""
        return None if self.run is None else self.run.prompts

    @property
    def plane(self) -> Plane | None:
        """Plane of the slices; None if there is no result."""
        return None if self.prompts is None else self.prompts.plane

    @property
    def lineage(self) -> int | None:
        """See `Prompts.lineage`: equal for a result and its corrections."""
        return None if self.prompts is None else self.prompts.lineage

    # What a prediction can start from

    def given_on(self, index: int) -> object | None:
        """What was given on a key slice of the result, as `KeySlice.given`; None on other slices."""
        key = None if self.prompts is None or self.outdated else self.prompts.keys.get(index)
        return None if key is None else key.given

    def found_on(self, index: int) -> SliceResult | None:
        """Result of a slice; None if its mask is empty or there is none."""
        if self.result is None or self.outdated or index not in self.result or not self.result[index].mask.any():
            return None
        return self.result[index]

    def mask_on(self, index: int, model: str) -> StoredMask | None:
        """What a model can start from on a slice: its own logits, or else the mask; None if that is empty."""
        found = self.found_on(index)
        if found is None or self.run is None:
            return None
        if found.low_res_logits is not None and model == self.run.basis.choice.model:
            return StoredMask.of_logits(found.low_res_logits, model)
        return StoredMask.of_mask(found.mask)

    # Runs

    def part_for(self, prompts: Prompts, basis: ResultBasis) -> PartialRun | None:
        """The part of the stack that a run with these prompts has to segment; None: all of it."""
        if self.run is None or basis != self.run.basis:
            return None
        before = {index: key.given for index, key in self.run.prompts.keys.items()}
        after = {index: key.given for index, key in prompts.keys.items()}
        slices = self.run.result.shape[0]
        # Nothing is segmented beyond an empty key mask: it cannot guide a run.
        guides = [index for index, key in prompts.keys.items() if key.holds_object]
        part = partial_run_for(before, after, slices, guides)
        return part if part is None or prompts.box3d is None else part.over_whole_stack(slices)

    def content_for(self, stack: Stack, part: PartialRun | None) -> Content:
        """The voxels of a run that begins, with those that an earlier run has read and this one keeps."""
        # Oblique slices depend on where the volume lies, which may have changed.
        if self.run is None or part is None or not isinstance(stack, SliceStack):
            return Content(stack)
        return Content(stack, self.run.voxels)

    def begin(self, stack: Stack, part: PartialRun | None) -> None:
        """Show what a run that begins will not replace."""
        self.image = StackImage(stack)
        if part is not None and self.result is not None:
            self.image.put_results(self.result, part.kept(self.result))

    def add(self, found: SliceResult) -> None:
        """Show a slice that the run has found."""
        if self.image is not None:
            self.image.put_result(found)

    def finish(self, run: FinishedRun, drawn: bool = False) -> None:
        """Use the result of a finished run. Slices that it contours as before need not be looked at again.

        Args:
            run: the run.
            drawn: whether `image` has its result, because the run has just ended.
        """
        before = None if self.run is None or self.run.prompts.plane != run.prompts.plane else self.run.result
        if before is None or before.shape != run.result.shape:
            self.seen = frozenset()
        self.seen = frozenset(index for index in self.seen if before is not None and _same(before, run.result, index))
        self.run, self.settled = run, {}
        self._drawn = (run, self.image) if drawn and self.image is not None else None
        self.applied = self.undone = self.outdated = False

    def settles(self, index: int, edited: np.ndarray) -> bool:
        """Whether the user has decided about a slice when the segment held this mask on it."""
        before = self.settled.get(index)
        return before is not None and np.array_equal(before, edited)

    def look_at(self, index: int) -> bool:
        """The user looks at a slice. Returns whether it is one of the result, which the view shows."""
        shown = self.result is not None and index in self.result and (self.applied or not self.outdated)
        if shown:
            self.seen |= {index}
        return shown

    def compare_voxels(self, stack_of: Callable[[Plane], Stack]) -> None:
        """Set `outdated`. A volume that cannot be used any more holds other voxels."""
        run, self.outdated = self.run, False
        if run is not None:
            try:
                stack = stack_of(run.prompts.plane)
                same = run.voxels is not None and stack.shape == run.result.shape and run.voxels.are_in(stack)
            except InputError:
                same = False
            self.outdated = not same

    def fits(self, stack_of: Callable[[Plane], Stack]) -> bool:
        """Whether the volume has slices of the result's shape, so that the result can be written."""
        try:
            return self.run is not None and stack_of(self.run.prompts.plane).shape == self.run.result.shape
        except InputError:
            return False

    def restore(self, stack_of: Callable[[Plane], Stack]) -> None:
        """Show the result again, after a run without one. Shows nothing if the volume has another size by now.

        Raises:
            InputError: the volume cannot be used.
        """
        self.image = None
        if self.result is None or self.plane is None or (stack := stack_of(self.plane)).shape != self.result.shape:
            return
        if self._drawn is not None and self._drawn[0] is self.run and self._drawn[1].fits(stack):
            self.image = self._drawn[1]
            return
        self.image = StackImage(stack)
        self.image.put_results(self.result, self.result.indices)

    def release_image(self) -> None:
        """Drop the image, which takes memory, and keep the result."""
        self.image = self._drawn = None

    def drop(self) -> None:
        """Forget the result; what was applied stays in the segment."""
        self.run = self.image = self._drawn = None
        self.seen, self.settled = frozenset(), {}
        self.applied = self.undone = self.outdated = False


def _same(before: StackResult, after: StackResult, index: int) -> bool:
    return index in before and index in after and np.array_equal(before[index].mask, after[index].mask)
