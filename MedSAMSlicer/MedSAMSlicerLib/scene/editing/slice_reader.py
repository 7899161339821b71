"""Slices of a volume as the model sees them: finds the intensity window step by step, caches the last slices."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import slicer

from ...engine.errors import MedSAMError
from ...engine.intensity import Window
from ..state.effect_parameters import EffectParameters
from ..volume.slice_stack import SliceStack
from ..volume.view_plane import Plane, Stack
from ..volume.window_search import WindowSearch, displayed_window, modality_of

_CACHED_SLICES = 8


class SliceReader:
    """Reads slices through the window that the options name.

    `advance` searches for the window, which may need all voxels; it starts again when the option or the voxels change.

    Args:
        volume_node: only read.
        parameters: name the window.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        volume_node: slicer.vtkMRMLScalarVolumeNode,
        parameters: EffectParameters,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._volume_node, self._parameters, self._clock = volume_node, parameters, clock
        self._search: WindowSearch | None = None
        self._searched: tuple[str, int] | None = None
        self._images: OrderedDict[tuple[object, ...], np.ndarray] = OrderedDict()

    @property
    def window(self) -> Window | None:
        """The window; None until `advance` has found it. Raises InputError if there can be none."""
        self._settle()
        return None if self._search is None else self._search.window

    @property
    def searching(self) -> bool:
        """Whether `advance` has something to do. False if there can be no window, which `window` reports."""
        try:
            return self.window is None
        except MedSAMError:
            return False

    def advance(self, seconds: float) -> Window | None:
        """Search for about `seconds`. Returns `window`. Raises InputError if there can be none."""
        self._settle()
        return None if self._search is None else self._search.advance(seconds)

    def image(self, plane: Plane, stack: Stack, index: int) -> np.ndarray:
        """uint8 (rows, columns) grey levels of slice `index`, once the window has been found."""
        window = self.window
        assert window is not None
        key = (plane, index, window, self._voxels_changed(), tuple(stack.slice_to_world(0).ravel()))
        if key not in self._images:
            self._images[key] = window.apply(stack.slice_values(index))
            while len(self._images) > _CACHED_SLICES:
                self._images.popitem(last=False)
        self._images.move_to_end(key)
        return self._images[key]

    @property
    def state(self) -> tuple[object, ...]:
        """Window and voxels: two states are equal if the slices look the same."""
        return (self._searched, self._voxels_changed())

    def _settle(self) -> None:
        wanted = self._parameters.get("Window")
        if wanted == "display":
            wanted = displayed_window(self._volume_node)
        if self._searched != (wanted, self._voxels_changed()):
            self._search = WindowSearch(
                wanted, SliceStack(self._volume_node, "K"), modality_of(self._volume_node), self._clock
            )
            self._searched = (wanted, self._voxels_changed())

    def _voxels_changed(self) -> int:
        image = self._volume_node.GetImageData()
        return 0 if image is None else int(image.GetMTime())
