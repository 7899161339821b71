"""The prompt of a script for a volume in the scene: an ROI, a 3D box or key slices, in slices along one index axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import slicer

from ...engine.errors import InputError
from ...engine.i18n import tr as _
from ...engine.prompt_arguments import BoxArgument, KeySliceArgument, prompt_from_box, prompt_from_key_slices
from ...engine.volume_prompt import VolumePrompt
from ..roi.conversion import roi_to_prompt
from ..volume.slice_stack import SliceStack, default_axis_of


def script_prompt(
    volume_node: slicer.vtkMRMLScalarVolumeNode,
    roi_node: slicer.vtkMRMLMarkupsROINode | None = None,
    box: BoxArgument | None = None,
    key_slices: Mapping[int, KeySliceArgument] | None = None,
    slice_range: Sequence[int] | None = None,
    axis: str | None = None,
) -> VolumePrompt:
    """A prompt from exactly one of an ROI, a 3D box and key slices.

    Args:
        volume_node: the volume.
        roi_node: ROI of any rotation.
        box, key_slices: as for `prompt_from_box` and `prompt_from_key_slices`.
        slice_range: first and last slice that may hold the object, included; with key slices only.
        axis: index axis along which slices are counted; None: `default_axis_of` the volume.

    Raises:
        InputError: not exactly one prompt is given, it does not fit the volume, or the volume cannot be used.
    """
    given = [prompt for prompt in (roi_node, box, key_slices) if prompt is not None]
    if len(given) != 1:
        raise InputError(
            _("{count} prompts were given: give one of an ROI, a box and key slices").format(count=len(given))
        )
    if slice_range is not None and key_slices is None:
        raise InputError(_("a slice range goes with key slices: an ROI and a box have their own"))
    stack = SliceStack(volume_node, default_axis_of(volume_node) if axis is None else axis)
    if roi_node is not None:
        from_roi = roi_to_prompt(roi_node, stack)
        return VolumePrompt(stack.axis, from_roi, from_roi.oriented_box)
    if box is not None:
        return VolumePrompt(stack.axis, prompt_from_box(box, stack.axis, stack.dimensions))
    assert key_slices is not None
    return VolumePrompt(stack.axis, prompt_from_key_slices(key_slices, slice_range).checked_for(stack.shape))
