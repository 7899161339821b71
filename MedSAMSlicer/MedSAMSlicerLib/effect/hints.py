"""What the user has to do before anything can be contoured, or before it can be seen."""

from __future__ import annotations

from typing import NamedTuple

import slicer
from slicer.i18n import tr as _

from ..engine.models.catalogue import known_model, model_title
from .option_choices import Available


class Hint(NamedTuple):
    """A text for the user; `set_up`: whether the module MedSAMSlicer is where it is done."""

    text: str = ""
    set_up: bool = False


def hint_of(node: slicer.vtkMRMLSegmentEditorNode, model: str, available: Available) -> Hint:
    """The first thing that is missing, in the order in which a user gets to it; empty if nothing is.

    Args:
        node: the Segment Editor's parameter node.
        model: key of the chosen model.
        available: what this computer offers.
    """
    if available.missing_packages:
        return Hint(_("Python packages are missing: install them in the module MedSAMSlicer."), True)
    if known_model(model) is not None and model not in available.models:
        text = _("{model} is not installed: install it in the module MedSAMSlicer.")
        return Hint(text.format(model=model_title(model)), True)
    if node.GetSourceVolumeNode() is None:
        return Hint(_("No image is selected: choose the source volume above."))
    segmentation_node = node.GetSegmentationNode()
    if segmentation_node is None:
        return Hint(_("No segmentation is selected: choose one above."))
    segment = segmentation_node.GetSegmentation().GetSegment(node.GetSelectedSegmentID() or "")
    if segment is None:
        return Hint(_("No segment is selected: select one in the list, or click 'Add'."))
    if not is_visible(segmentation_node, node.GetSelectedSegmentID()):
        text = _("Segment '{segment}' is hidden: click the eye beside it to see what is in it.")
        return Hint(text.format(segment=segment.GetName()))
    return Hint()


def is_visible(segmentation_node: slicer.vtkMRMLSegmentationNode, segment_id: str) -> bool:
    """Whether slice views can show a segment."""
    display = segmentation_node.GetDisplayNode()
    if display is None:
        return False
    in_slices = (display.GetVisibility2DFill() and display.GetSegmentVisibility2DFill(segment_id)) or (
        display.GetVisibility2DOutline() and display.GetSegmentVisibility2DOutline(segment_id)
    )
    return bool(display.GetVisibility() and display.GetSegmentVisibility(segment_id) and in_slices)
