"""The region or organ that a segment's terminology in Slicer names, and its side."""

from __future__ import annotations

from .dicom_seg import anatomy_name, side_name

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
    return anatomy_name(_place(text)[0])


def side_of_terminology(text: str) -> str:
    """Side of that region or organ, for `Segment.side`; '' if none was chosen."""
    return side_name(_place(text)[1]) if anatomy_of_terminology(text) else ""


def _place(text: str) -> tuple[str, str]:
    """Codes of the region, or of the organ that the segment is, and of the modifier."""
    _context, category, kind, kinds, _regions, region, regions, *_rest = [*text.removesuffix("|").split("~"), *[""] * 7]
    if _code(region):
        return _code(region), _code(regions)
    return (_code(kind), _code(kinds)) if _code(category) in _ANATOMICAL_STRUCTURE else ("", "")


def _code(entry: str) -> str:
    """Code of SNOMED CT in ``scheme^code^meaning``; '' if there is none."""
    scheme, code, *_meaning = [*entry.split("^"), "", ""]
    return code if scheme == "SCT" else ""
