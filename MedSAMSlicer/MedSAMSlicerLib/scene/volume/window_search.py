"""Finds the intensity window a few slices at a time: to read all of a large volume in one call takes seconds."""

from __future__ import annotations

import time
from collections.abc import Callable

import slicer

from ...engine.errors import InputError
from ...engine.i18n import tr as _
from ...engine.intensity import Window, window_steps
from ...engine.stack import ValueSource


class WindowSearch:
    """One search, advanced by whoever owns it.

    Args:
        wanted, values, modality: as for `choose_window`.
        clock: seconds, never running backwards.
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
        """What was found; None until then. Raises the InputError with which the search ended."""
        if self._error is not None:
            raise self._error
        return self._found

    def advance(self, seconds: float) -> Window | None:
        """Search for about that long. Raises InputError as `choose_window` does."""
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
    """DICOM modality of a volume that was loaded from DICOM files, such as "CT"; None if nothing says it."""
    scene = volume_node.GetScene()
    hierarchy = None if scene is None else slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    if hierarchy is None:
        return None
    item = hierarchy.GetItemByDataNode(volume_node)
    name = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMSeriesModalityAttributeName()
    return hierarchy.GetItemAttribute(item, name) or None if item else None


def displayed_window(volume_node: slicer.vtkMRMLScalarVolumeNode) -> str:
    """The window that the volume is displayed in, as LEVEL,WIDTH.

    Raises:
        InputError: it is not displayed, or not in a window of any width.
    """
    display = volume_node.GetDisplayNode()
    if display is None or not hasattr(display, "GetWindow") or not display.GetWindow() > 0:
        raise InputError(
            _("volume '{volume}' is shown in no window: show it, or choose another window").format(
                volume=volume_node.GetName()
            )
        )
    return f"{display.GetLevel()!r},{display.GetWindow()!r}"
