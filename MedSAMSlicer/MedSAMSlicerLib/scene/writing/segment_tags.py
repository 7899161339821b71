"""Tags that segments carry: Slicer saves them with the segmentation."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import slicer
import vtk

from ...engine.provenance import PROVENANCE_TAG
from ...engine.review import REVIEWED_BY_TAG, REVIEWED_ON_TAG, REVIEWED_TAG, SlicesToReview
from ..volume.view_plane import Plane


def tag_provenance(
    segmentation_node: slicer.vtkMRMLSegmentationNode, segment_id: str, provenance: str, to_review: SlicesToReview
) -> None:
    """Say where a segment that was just written comes from. What a person said of its review no longer counts.

    Args:
        provenance: see `provenance_text`; empty: not known, and that tag stays as it is.
        to_review: slices that need review now.
    """
    segment = segmentation_node.GetSegmentation().GetSegment(segment_id)
    if provenance:
        segment.SetTag(PROVENANCE_TAG, provenance)
    for key in (REVIEWED_TAG, REVIEWED_BY_TAG, REVIEWED_ON_TAG):
        segment.RemoveTag(key)
    tag_review(segment, to_review)


def tag_review(segment: slicer.vtkSegment, to_review: SlicesToReview) -> None:
    """Say which slices of a segment need review, and which were looked at."""
    for key, text in to_review.tags().items():
        set_tag(segment, key, text)


def review_of(segment: slicer.vtkSegment) -> SlicesToReview:
    """Slices of a segment that need review, and those that were looked at."""
    return SlicesToReview.from_tags(lambda key: tag_of(segment, key))


def slice_names(volume_node: slicer.vtkMRMLScalarVolumeNode, plane: Plane, indices: Iterable[int]) -> list[str]:
    """Names of slices in tags, different for every volume and plane of the scene, such as "ScalarVolume1.K7"."""
    volume = str(volume_node.GetID() or "").removeprefix("vtkMRML").replace("Node", "")
    along = plane.axis or f"{zlib.crc32(plane.text().encode()):08x}."
    return [f"{volume}.{along}{index}" for index in indices]


def set_tag(segment: slicer.vtkSegment, key: str, text: str) -> None:
    """Set a tag, or remove it if the text is empty. Does nothing if the segment has it already."""
    if tag_of(segment, key) == text:
        return
    if text:
        segment.SetTag(key, text)
    else:
        segment.RemoveTag(key)


def tag_of(segment: slicer.vtkSegment, key: str) -> str:
    """Text of a tag; empty if the segment does not have it."""
    text = vtk.reference("")
    return str(text) if segment.GetTag(key, text) else ""
