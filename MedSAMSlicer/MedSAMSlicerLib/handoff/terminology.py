"""The region or organ that a segment's terminology in Slicer names."""

from __future__ import annotations

from .dicom_seg import anatomy_name

TERMINOLOGY_TAG = "TerminologyEntry"
"""Tag of Slicer's segments: context~category~type~modifier~anatomic context~region~modifier, each of them scheme^code^meaning."""
_ANATOMICAL_STRUCTURE = {"123037004", "91723000"}  # as Slicer's terminologies and DICOM have it


def anatomy_of_terminology(text: str) -> str:
    """Name of the region that was chosen, or of the organ that the segment is, for `Segment.anatomy`.

    Args:
        text: of the tag, or empty.

    Returns:
        '' if none was chosen, or one that `anatomy_code` does not know.
    """
    _context, category, kind, _modifier, _regions, region, *_rest = [*text.split("~"), *[""] * 6]
    organ = kind if _code(category) in _ANATOMICAL_STRUCTURE else ""
    return anatomy_name(_code(region) or _code(organ))


def _code(entry: str) -> str:
    """Code of SNOMED CT in ``scheme^code^meaning``; '' if there is none."""
    scheme, code, *_meaning = [*entry.split("^"), "", ""]
    return code if scheme == "SCT" else ""
