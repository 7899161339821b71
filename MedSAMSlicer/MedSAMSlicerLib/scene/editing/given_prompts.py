"""The prompts that a session has been given: its key slices, and how far from them the object may reach."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType

from ...engine.oriented_box import OrientedBox
from ...engine.prompts import Box, SlicePrompt, StackPrompt, as_slice_prompt
from ..roi.conversion import RoiPrompt
from ..volume.slice_stack import SliceStack


class GivenPrompts(ABC):
    """Key slices by index; what is given counts from the next run."""

    def __init__(self) -> None:
        self.reach: tuple[int, int] | None = None
        """First and last slice that may hold the object; None: as far as the object goes."""
        self.bounds: Box | None = None
        """Box that no mask may leave; None: the whole slice."""
        self.solid: OrientedBox | None = None
        """Slanted ROI that no mask may leave."""
        self._keys: dict[int, SlicePrompt] = {}

    @property
    @abstractmethod
    def stack(self) -> SliceStack:
        """The slices that the prompts are for."""

    @property
    def keys(self) -> Mapping[int, Box]:
        """Slice index -> box, of the key slices where the user gave a box and nothing else."""
        boxes = {index: given.box for index, given in self._keys.items() if given.kinds == {"box"} and given.box}
        return MappingProxyType(boxes)

    @property
    def slice_prompts(self) -> Mapping[int, SlicePrompt]:
        """Slice index -> prompt, of the key slices where the user gave points or a mask, with or without a box."""
        return MappingProxyType({index: given for index, given in self._keys.items() if given.kinds != {"box"}})

    def set_key(self, index: int, prompt: Box | SlicePrompt) -> None:
        """Make a slice a key slice, or change its prompt. Counts from the next run.

        Raises:
            InputError: the slice or the prompt lies outside the volume.
        """
        given = as_slice_prompt(prompt)
        StackPrompt({index: given}).checked_for(self.stack.shape)
        self._keys[index] = given

    def remove_key(self, index: int) -> None:
        """Make a slice an ordinary one again, if it was a key slice."""
        self._keys.pop(index, None)

    def set_prompt(self, prompt: StackPrompt) -> None:
        """Take key slices, reach and bounds from `prompt`; from one made of an ROI, the ROI, which no mask leaves.

        Raises:
            InputError: something of it lies outside the volume.
        """
        prompt.checked_for(self.stack.shape)
        self._keys = dict(prompt.slices)
        self.reach, self.bounds = prompt.slice_range, prompt.box3d
        self.solid = prompt.solid if isinstance(prompt, RoiPrompt) else None

    @property
    def prompt(self) -> StackPrompt:
        """All prompts together. Raises InputError if there is no key slice, or one lies outside reach or volume."""
        return StackPrompt(self._keys, self.reach, self.bounds).checked_for(self.stack.shape)
