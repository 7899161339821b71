"""An ROI as what is marked for one object."""

from __future__ import annotations

import slicer

from ..roi.conversion import roi_to_prompt
from ..volume.slice_stack import SliceStack, default_axis_of
from ..volume.view_plane import Plane
from .prompts import KeySlice, Prompts


def prompts_in_roi(roi_node: slicer.vtkMRMLMarkupsROINode, volume_node: slicer.vtkMRMLScalarVolumeNode) -> Prompts:
    """An ROI of any rotation as a 3D box in the volume's own slices.

    Raises:
        InputError: the ROI is missing, empty or outside of the volume, or the volume cannot be used.
    """
    axis = default_axis_of(volume_node)
    stack = SliceStack(volume_node, axis)
    prompt = roi_to_prompt(roi_node, stack)
    keys = {index: KeySlice(given.box, "roi") for index, given in prompt.slices.items()}
    return Prompts(Plane(axis), keys, prompt.slice_range, prompt.box3d, prompt.solid)
