"""The result that is seen over the image, what it was made from, and what of it a new run would leave unchanged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...engine.model_choice import ModelChoice
from ...engine.oriented_box import OrientedBox
from ...engine.prompts import Box
from ...engine.results import SliceResult, StackResult
from ..display.overlay import StackImage
from ..volume.view_plane import Plane, Stack
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


class CurrentResult:
    """Nothing, or one result.

    Attributes:
        result: None if there is none.
        image: what the result looks like in the views or, during a run, what has been found of the next one.
        applied: whether the result, as it is now, was written to the segment, and not taken back by Undo.
        undone: whether it was taken back by Undo.
    """

    def __init__(self) -> None:
        self.result: StackResult | None = None
        self.image: StackImage | None = None
        self.applied = self.undone = False
        self._prompts: Prompts | None = None
        self._basis: ResultBasis | None = None

    @property
    def prompts(self) -> Prompts | None:
        """The prompts that the result was made from."""
        return self._prompts

    @property
    def plane(self) -> Plane | None:
        return None if self._prompts is None else self._prompts.plane

    @property
    def lineage(self) -> int | None:
        """Differs between results that are not corrections of each other."""
        return None if self._prompts is None else self._prompts.lineage

    def part_for(self, prompts: Prompts, basis: ResultBasis) -> PartialRun | None:
        """Part of the stack that a run with these prompts has to go over; None: all of it.

        Args:
            basis: what a result depends on besides its key slices.
        """
        if self.result is None or self._prompts is None or basis != self._basis:
            return None
        before = {index: key.given for index, key in self._prompts.keys.items()}
        after = {index: key.given for index, key in prompts.keys.items()}
        slices = self.result.shape[0]
        part = partial_run_for(before, after, slices)
        return part if part is None or prompts.box3d is None else part.over_whole_stack(slices)

    def given_on(self, index: int) -> object | None:
        """What the result was made from on a key slice, as `KeySlice.given`; None on any other slice."""
        key = None if self.result is None or self._prompts is None else self._prompts.keys.get(index)
        return None if key is None else key.given

    def found_on(self, index: int) -> SliceResult | None:
        """What the result has on a slice; None if there is nothing."""
        if self.result is None or index not in self.result or not self.result[index].mask.any():
            return None
        return self.result[index]

    def mask_on(self, index: int, model: str) -> StoredMask | None:
        """What the result has on a slice, for that model to start from; None if that is nothing.

        The logits that the same model gave; the mask if it was another.
        """
        found = self.found_on(index)
        if found is None:
            return None
        if found.low_res_logits is not None and self._basis is not None and model == self._basis.choice.model:
            return StoredMask.of_logits(found.low_res_logits, model)
        return StoredMask.of_mask(found.mask)

    def begin(self, stack: Stack, part: PartialRun | None) -> None:
        """Show what a run that begins will not replace."""
        self.image = StackImage(stack)
        for found in () if part is None or self.result is None else part.kept(self.result):
            self.image.put_result(found)

    def add(self, found: SliceResult) -> None:
        """Show a slice that the run has found."""
        if self.image is not None:
            self.image.put_result(found)

    def finish(self, result: StackResult, prompts: Prompts, basis: ResultBasis) -> None:
        """Use the result of a finished run."""
        self.result, self._prompts, self._basis = result, prompts, basis
        self.applied = self.undone = False

    def restore(self, stack_of: Callable[[Plane], Stack]) -> None:
        """The run has ended without a result: show the earlier one again, if there is one.

        A volume that has another size by now cannot show it. Raises InputError if it cannot be used at all.
        """
        self.image = None
        if self.result is None or self.plane is None or (stack := stack_of(self.plane)).shape != self.result.shape:
            return
        self.image = StackImage(stack)
        for found in self.result:
            self.image.put_result(found)

    def drop(self) -> None:
        """Forget the result; what was applied stays in the segment."""
        self.result = self.image = self._prompts = None
        self._basis, self.applied, self.undone = None, False, False
