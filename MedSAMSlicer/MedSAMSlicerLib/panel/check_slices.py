"""Slices of the open volume for the check of this computer: devices are compared on them, too."""

from __future__ import annotations

import numpy as np
import slicer

from ..engine.errors import InputError
from ..engine.jobs.device_check import slice_message
from ..engine.prompts import Box
from ..scene.volume.slice_stack import SliceStack

COUNT = 3
_PERCENTILES = (0.5, 99.5)


def open_volume() -> slicer.vtkMRMLNode | None:
    """The volume that the slice views show; None if there is none."""
    selection = slicer.app.applicationLogic().GetSelectionNode()
    return slicer.mrmlScene.GetNodeByID(selection.GetActiveVolumeID() or "") if selection is not None else None


def check_messages(volume_node: slicer.vtkMRMLNode | None) -> list[bytes]:
    """Messages for the device check: slices through the middle half of a volume, with a box around their middle.

    Nothing of them is stored: they go through a pipe to a process that ends with the check. None if the volume cannot be used.
    """
    try:
        stack = SliceStack(volume_node, "K") if volume_node is not None else None
    except InputError:
        return []  # a rectangle in this volume says why
    if stack is None:
        return []
    count, rows, columns = stack.shape
    box = Box(columns / 4, rows / 4, 3 * columns / 4, 3 * rows / 4)
    indices = {round(part * (count - 1)) for part in np.linspace(0.25, 0.75, COUNT)}
    return [slice_message(_grey(np.asarray(stack.slice_values(index))), box) for index in sorted(indices)]


def _grey(values: np.ndarray) -> np.ndarray:
    """uint8 grey levels, or colours as they are."""
    if values.ndim == 3:
        return np.ascontiguousarray(values, np.uint8)
    finite = np.nan_to_num(values.astype(np.float32), posinf=0.0, neginf=0.0)
    low, high = np.percentile(finite, _PERCENTILES)
    return np.clip((finite - low) * (255 / max(high - low, 1e-6)), 0, 255).astype(np.uint8)
