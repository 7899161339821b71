"""Incremental choice of the intensity window: reading a large volume in one call takes seconds."""

from __future__ import annotations

import time
from collections.abc import Callable

import slicer

from ...engine.errors import InputError
from ...engine.i18n import tr as _
from ...engine.intensity import Window, window_steps
from ...engine.stack import ValueSource


class WindowSearch:
    """Chooses an intensity window in steps.

    Args:
        wanted: requested window; see `choose_window`.
        values: stack of slices in scanner values.
        modality: DICOM modality; None if unknown.
        clock: returns monotonic time in seconds.
    """

    def __init__(
        self,
        wanted: str,
        values: ValueSource,
        modality: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._steps = window_steps(wanted, values, modality)
        self._clock = clock
        self._found: Window | None = None
        self._error: InputError | None = None

    @property
    def window(self) -> Window | None:
        """The window; None until the search has ended.

        Raises:
            InputError: the search has failed.
        """
        if self._error is not None:
            raise self._error
        return self._found

    def advance(self, seconds: float) -> Window | None:
        """Continue the search for about `seconds`. Returns the window; None if the search has not ended.

        Raises:
            InputError: the search has failed; see `choose_window`.
        """
        end = self._clock() + seconds
        while self.window is None:
            try:
                next(self._steps)
            except StopIteration as finished:
                self._found = finished.value
            except InputError as error:
                self._error = error
            if self._clock() >= end:
                break
        return self.window


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
            _("volume '{volume}' has no display window: show it in a slice view, or choose another window").format(
                volume=volume_node.GetName()
            )
        )
    return f"{display.GetLevel()!r},{display.GetWindow()!r}"
