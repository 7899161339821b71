"""Windowed slices of a volume node, as the model gets them."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import slicer

from ...engine.errors import InputError, MedSAMError
from ...engine.finite import not_finite_steps
from ...engine.i18n import tr as _
from ...engine.intensity import Steps, Window, window_steps
from .content import content_time
from .geometry import label
from .slice_stack import SliceStack
from .view_plane import Plane, Stack

_CACHED_SLICES = 8
SEARCH_SECONDS = 0.02
"""How long one step may read voxels to find the window, so that the application stays responsive."""


class SliceReader:
    """Reads slices of a volume through an intensity window, and caches the most recent ones.

    `advance` searches the window in steps of a few slices, because reading a large volume in one call takes seconds. The
    search restarts when another window is requested or the voxels change.

    Attributes:
        notes: what the user should know about the voxels and the window; complete once the window is found.

    Args:
        volume_node: the volume; it is not modified.
        wanted: returns the requested window, as for `choose_window`, or "display" for the window of the display.
        clock: returns monotonic time in seconds.
    """

    def __init__(
        self,
        volume_node: slicer.vtkMRMLScalarVolumeNode,
        wanted: Callable[[], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._volume_node, self._wanted, self._clock = volume_node, wanted, clock
        self._searched: tuple[str, int] | None = None
        self.notes: tuple[str, ...] = ()
        self._steps: Steps | None = None
        self._window: Window | None = None
        self._error: InputError | None = None
        self._images: OrderedDict[tuple[object, ...], np.ndarray] = OrderedDict()

    @property
    def window(self) -> Window | None:
        """The window; None until `advance` has found it.

        Raises:
            InputError: the search has failed.
        """
        wanted = self._wanted()
        if wanted == "display":
            wanted = displayed_window(self._volume_node)
        if self._searched != (wanted, content_time(self._volume_node)):
            self._steps = self._search(wanted, SliceStack(self._volume_node, "K"))
            self._window = self._error = None
            self._searched = (wanted, content_time(self._volume_node))
        if self._error is not None:
            raise self._error
        return self._window

    def _search(self, wanted: str, stack: SliceStack) -> Steps:
        _count, note = yield from not_finite_steps(stack)
        window = yield from window_steps(wanted, stack, modality_of(self._volume_node))
        self.notes = tuple(filter(None, (note, window.note)))
        return window

    @property
    def searching(self) -> bool:
        """Whether the window is still to be searched. False if the search has failed; then `window` raises the error."""
        try:
            return self.window is None
        except MedSAMError:
            return False

    def advance(self, seconds: float = SEARCH_SECONDS) -> Window | None:
        """Continue the search for about `seconds`. Returns the window; None if the search has not ended.

        Raises:
            InputError: the search has failed; see `choose_window`.
        """
        if self.window is not None or self._steps is None:
            return self._window
        end = self._clock() + seconds
        while self._window is None:
            try:
                next(self._steps)
            except StopIteration as finished:
                self._window = finished.value
            except InputError as error:
                self._error = error
                raise
            if self._clock() >= end:
                break
        return self._window

    def image(self, plane: Plane, stack: Stack, index: int) -> np.ndarray:
        """Slice `index` as a uint8 (rows, columns) or (rows, columns, 3) array. The window must have been found."""
        window = self.window
        assert window is not None
        key = (plane, index, window, stack.image.GetMTime(), tuple(stack.slice_to_world(0).ravel()))
        if key not in self._images:
            self._images[key] = window.apply(stack.slice_values(index))
            while len(self._images) > _CACHED_SLICES:
                self._images.popitem(last=False)
        self._images.move_to_end(key)
        return self._images[key]

    @property
    def state(self) -> tuple[object, ...]:
        """State of window and voxels: images are equal while the state is equal."""
        return (self._searched, content_time(self._volume_node))


def modality_of(volume_node: slicer.vtkMRMLScalarVolumeNode) -> str | None:
    """DICOM modality of a volume that was loaded from DICOM files, such as "CT"; None if unknown."""
    scene = volume_node.GetScene()
    hierarchy = None if scene is None else slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    if hierarchy is None:
        return None
    item = hierarchy.GetItemByDataNode(volume_node)
    name = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMSeriesModalityAttributeName()
    return hierarchy.GetItemAttribute(item, name) or None if item else None


def displayed_window(volume_node: slicer.vtkMRMLScalarVolumeNode) -> str:
    """Window in which the volume is displayed, as text ``LEVEL,WIDTH``.

    Raises:
        InputError: the volume has no display window.
    """
    display = volume_node.GetDisplayNode()
    if display is None or not hasattr(display, "GetWindow") or not display.GetWindow() > 0:
        raise InputError(
            _("{volume_node} has no display window: show it in a slice view, or choose another window").format(
                volume_node=label(volume_node)
            )
        )
    return f"{display.GetLevel()!r},{display.GetWindow()!r}"
