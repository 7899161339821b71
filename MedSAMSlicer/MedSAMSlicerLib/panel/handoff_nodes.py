"""What the user has chosen for the segments of a segmentation, and the DICOM files of a volume."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import slicer

from ..engine.review import REVIEWED_BY_TAG, REVIEWED_ON_TAG, REVIEWED_TAG, SlicesToReview, is_reviewed
from ..handoff.segments import Review, kind_of
from ..scene.writing.segment_tags import review_of, set_tag, tag_of

NAME_TAG = "MedSAMSlicer.DicomName"
KIND_TAG = "MedSAMSlicer.RoiType"
MARGIN_TAG = "MedSAMSlicer.Margin"


@dataclass(frozen=True)
class SegmentEntry:
    """What the user has chosen for a segment; kept in its tags.

    Attributes:
        segment_id: ID in its segmentation.
        segment_name: name in Slicer.
        name: name in DICOM files; that in Slicer unless the user has given another one.
        kind: "GTV", "CTV", "PTV" or "ORGAN".
        margin: by what it was grown from another segment, such as "5 mm"; empty if it was not.
        review: whether a person has looked at every slice that needs it, which the user may say, too; who and when, only
            if the user has entered it.
        to_review: slices that need review, and those that were looked at in the effect.
    """

    segment_id: str
    segment_name: str
    name: str
    kind: str
    margin: str
    review: Review
    to_review: SlicesToReview


def entries(segmentation_node: slicer.vtkMRMLSegmentationNode | None) -> list[SegmentEntry]:
    """Entries of all segments, in their order; none without a segmentation."""
    if segmentation_node is None:
        return []
    segmentation = segmentation_node.GetSegmentation()
    found = []
    for index in range(segmentation.GetNumberOfSegments()):
        segment = segmentation.GetNthSegment(index)
        own_name = str(segment.GetName() or "")
        name = tag_of(segment, NAME_TAG) or own_name
        found.append(
            SegmentEntry(
                segmentation.GetNthSegmentID(index),
                own_name,
                name,
                tag_of(segment, KIND_TAG) or kind_of(name),
                tag_of(segment, MARGIN_TAG),
                _review(segment),
                review_of(segment),
            )
        )
    return found


def _review(segment: slicer.vtkSegment) -> Review:
    reviewed = is_reviewed(lambda key: tag_of(segment, key))
    return Review.stored(reviewed, tag_of(segment, REVIEWED_BY_TAG), tag_of(segment, REVIEWED_ON_TAG))


def keep_choice(
    segmentation_node: slicer.vtkMRMLSegmentationNode, segment_id: str, *, name: str, kind: str, review: Review
) -> None:
    """Keep what the user has chosen for a segment in its tags. A choice that is the default is not kept."""
    segment = segmentation_node.GetSegmentation().GetSegment(segment_id)
    name = "" if name.strip() == segment.GetName() else name.strip()
    said = "" if review.reviewed == review_of(segment).all_seen else "yes" if review.reviewed else "no"
    chosen = {
        NAME_TAG: name,
        KIND_TAG: "" if kind == kind_of(name or segment.GetName()) else kind,
        REVIEWED_TAG: said,
        REVIEWED_BY_TAG: _storable(review.by) if review.reviewed else "",
        REVIEWED_ON_TAG: _storable(review.on) if review.reviewed else "",
    }
    for key, text in chosen.items():
        set_tag(segment, key, text)


def _storable(text: str) -> str:
    """Text without the sign that separates tags in files."""
    return " ".join(text.replace("|", " ").split())


def series_files(volume_node: slicer.vtkMRMLScalarVolumeNode | None) -> list[Path]:
    """Files of the slices that the volume was loaded from, from Slicer's DICOM database; none if it does not have all."""
    database, uids = open_database(), instance_uids(volume_node)
    if not uids or database is None:
        return []
    files = [str(database.fileForInstance(uid) or "") for uid in uids]
    return [Path(file) for file in files] if all(file and Path(file).is_file() for file in files) else []


def open_database() -> Any:
    """Slicer's DICOM database (ctkDICOMDatabase); None if it is not open, or Slicer was built without DICOM."""
    # The module DICOM sets this attribute once Slicer has started.
    database = getattr(slicer, "dicomDatabase", None)
    return database if database is not None and database.isOpen else None


def instance_uids(volume_node: slicer.vtkMRMLScalarVolumeNode | None) -> list[str]:
    """SOP instance UIDs of the slices that the volume was loaded from; none if it was not loaded from DICOM."""
    return str(volume_node.GetAttribute("DICOM.instanceUIDs") or "").split() if volume_node is not None else []
