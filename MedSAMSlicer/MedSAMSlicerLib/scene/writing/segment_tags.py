"""Tags that segments carry: Slicer saves them with the segmentation."""

from __future__ import annotations

import slicer
import vtk

from ...engine.provenance import PROVENANCE_TAG, REVIEWED_TAG


def tag_provenance(segmentation_node: slicer.vtkMRMLSegmentationNode, segment_id: str, provenance: str) -> None:
    """Say where a segment that was just written comes from. It counts as not reviewed then.

    Args:
        provenance: see `provenance_text`; empty: not known, and the tags stay as they are.
    """
    if provenance:
        segment = segmentation_node.GetSegmentation().GetSegment(segment_id)
        segment.SetTag(PROVENANCE_TAG, provenance)
        segment.RemoveTag(REVIEWED_TAG)


def tag_of(segment: slicer.vtkSegment, key: str) -> str:
    """Text of a tag; empty if the segment does not have it."""
    text = vtk.reference("")
    return str(text) if segment.GetTag(key, text) else ""
