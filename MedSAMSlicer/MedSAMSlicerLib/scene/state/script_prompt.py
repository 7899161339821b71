"""The prompt of a script for a volume in the scene: an ROI node, or voxel indices, points and masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import slicer

from ...engine.errors import InputError
from ...engine.i18n import tr as _
from ...engine.prompt_arguments import BoxArgument, KeySliceArgument
from ...engine.volume_prompt import VolumePrompt, stack_prompt
from ..roi.conversion import roi_to_boxes
from ..volume.slice_stack import SliceStack, default_axis_of


def script_prompt(
    volume_node: slicer.vtkMRMLScalarVolumeNode,
    roi_node: slicer.vtkMRMLMarkupsROINode | None = None,
    *,
    box: BoxArgument | None = None,
    key_slices: Mapping[int, KeySliceArgument] | None = None,
    points: Sequence[Sequence[float]] | np.ndarray | None = None,
    point_labels: Sequence[bool] | np.ndarray | None = None,
    mask: np.ndarray | None = None,
    slice_range: Sequence[int] | None = None,
    axis: str | None = None,
) -> VolumePrompt:
    """Combine prompts for one object in a volume; at least one is needed.

    Args:
        volume_node: the volume.
        roi_node: ROI of any rotation, in place of `box`. No mask leaves it.
        box, key_slices, points, point_labels, mask, slice_range: as for `stack_prompt`.
        axis: index axis along which slices are counted; None: `default_axis_of` the volume.

    Raises:
        InputError: a prompt is missing or does not fit the volume, or the volume cannot be used.
    """
    if roi_node is not None and box is not None:
        raise InputError(_("a box and an ROI were given: give one of them"))
    stack, oriented_box = SliceStack(volume_node, default_axis_of(volume_node) if axis is None else axis), None
    if roi_node is not None:
        box, oriented_box = roi_to_boxes(roi_node, stack)
    prompt = stack_prompt(
        stack.dimensions,
        stack.axis,
        box=box,
        key_slices=key_slices,
        points=points,
        point_labels=point_labels,
        mask=mask,
        slice_range=slice_range,
    )
    return VolumePrompt(stack.axis, prompt, oriented_box)
