"""Segments that are handed on: what they are called, what they are, and where they come from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from .. import __version__
from ..engine.errors import InputError, one_line
from ..engine.i18n import tr as _

KINDS = ("GTV", "CTV", "PTV", "ORGAN")
"""What a segment can be for a planning system: DICOM's RT ROI Interpreted Type."""
KEPT_KINDS = (
    *("EXTERNAL", "AVOIDANCE", "BOLUS", "CAVITY", "CONTRAST_AGENT", "CONTROL", "DOSE_REGION", "FIXATION"),
    *("IRRAD_VOLUME", "MARKER", "REGISTRATION", "SUPPORT", "TREATED_VOLUME"),
)
"""Kinds of structures that were read, which stay as they are when they are written again."""
COLOURS = ((1.0, 0.75, 0.0), (0.9, 0.1, 0.2), (0.1, 0.6, 1.0), (0.2, 0.8, 0.3), (0.7, 0.3, 0.9), (0.0, 0.75, 0.75))
UNRECORDED = "origin not recorded"
"""How the provenance of a segment begins that was made from one of which nothing is known."""
_LONGEST_NAME = 64
_LONGEST_DESCRIPTION = 1024
_DESCRIPTION = re.compile(
    r"(MedSAMSlicer [^:;]+(: (?P<provenance>.*?))?|(?P<unrecorded>origin not recorded(; .+?)??))"
    r"(; resampled to the series)?; (computer-generated, )?"
    r"(not reviewed|(?P<reviewed>reviewed)( by (?P<by>.+?))?( on (?P<on>\S*\d\S*))?)\s*$"
)
# Centres put a letter before the target: iGTV (internal), pCTV, rGTV, and z before what serves planning only.
_TARGET = re.compile(r"\s*[z_]*[a-z]?([GCPI]TV)", re.IGNORECASE)
_TUMOUR = re.compile(r"tumou?r|lesion|metasta|carcinom|sarcom|gliom|nodule", re.IGNORECASE)


def kind_of(name: str) -> str:
    """The kind that the name of a segment suggests: "GTV", "CTV", "PTV" or "ORGAN"."""
    match = _TARGET.match(name)
    if match:
        target = match.group(1).upper()
        return "CTV" if target == "ITV" else target
    return "GTV" if _TUMOUR.search(name) else "ORGAN"


def review_date(text: str) -> str:
    """The date of a review as YYYY-MM-DD; '' for ''.

    Args:
        text: YYYY-MM-DD or YYYYMMDD, not in the future.

    Raises:
        InputError: it is something else.
    """
    text = text.strip()
    if not text:
        return ""
    try:
        # fromisoformat alone also takes weeks and, in older Pythons, YYYY-MM-DD only.
        match = re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)|(\d{4})(\d\d)(\d\d)", text, re.ASCII)
        day = date(*(int(part) for part in match.groups() if part)) if match else None
    except ValueError:
        day = None
    if day is None:
        raise InputError(_("{text} is no date of a review: give YYYY-MM-DD").format(text=one_line(text)))
    if day > date.today():
        raise InputError(_("{text} is in the future: give the day of the review").format(text=text))
    return day.isoformat()


@dataclass(frozen=True)
class Review:
    """Whether a person has looked at every slice of a segment that needs it.

    Attributes:
        reviewed: False until somebody said so.
        by, on: name and date, only if the user entered them; a date as `review_date` takes it.

    Raises:
        InputError: the date is none, or lies in the future.
    """

    reviewed: bool = False
    by: str = ""
    on: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "on", review_date(self.on))

    @classmethod
    def stored(cls, reviewed: bool, by: str, on: str) -> Review:
        """The review that a file states, however it writes the date."""
        review = cls(reviewed, by)
        object.__setattr__(review, "on", on)
        return review

    def __str__(self) -> str:
        if not self.reviewed:
            return "not reviewed"
        return " ".join(["reviewed", *(["by", self.by] if self.by else []), *(["on", self.on] if self.on else [])])


@dataclass(frozen=True, eq=False)
class Segment:
    """One segment on the voxel grid of a DICOM series.

    Attributes:
        name: name in the files.
        mask: bool (k, j, i) on the grid of the series, not empty.
        kind: one of `KINDS`, or of `KEPT_KINDS`.
        colour: red, green and blue from 0 to 1.
        provenance: how it was made: model, checksum of the weights, prompts. Empty: not known; beginning with `UNRECORDED`: made
            from a segment of which nothing is known.
        review: whether a person has looked at it.
        resampled: whether it was drawn on other voxels than those of the series.
        anatomy: where it lies, see `dicom_seg.anatomy_code`; empty: not stated. DICOM SEG stores it.
        side: "Left", "Right" or "Bilateral", of the anatomy; empty: not stated.
        contours: index of the slice -> closed contours, (N, 3) LPS mm, to be written as they are; empty: those of the mask.
        notes: what a user should know about how it was read, one line each; what was left out, above all.
        tracking_uid: that of the DICOM SEG it was read from; empty: one is derived from series and name.
    """

    name: str
    mask: np.ndarray
    kind: str = "ORGAN"
    colour: tuple[float, float, float] = COLOURS[0]
    provenance: str = ""
    review: Review = Review()
    resampled: bool = False
    anatomy: str = ""
    side: str = ""
    contours: Mapping[int, Sequence[np.ndarray]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    tracking_uid: str = ""

    @property
    def recorded(self) -> bool:
        """Whether it is known how it was made. A mask that anybody may have drawn is not claimed to be ours."""
        return bool(self.provenance) and not self.provenance.startswith(UNRECORDED)

    @property
    def description(self) -> str:
        """Where the segment comes from and whether it was reviewed, in English: it is read by other programs' users."""
        made = f"MedSAMSlicer {__version__}: {self.provenance}" if self.recorded else self.provenance or UNRECORDED
        resampled = "; resampled to the series" if self.resampled else ""
        status = f"{resampled}; {'computer-generated, ' if self.recorded else ''}{self.review}"
        room = _LONGEST_DESCRIPTION - len(status)
        if len(made) > room:  # the end of the provenance holds the checksum of the weights
            made = f"{made[: room // 2]} ... {made[5 + room // 2 - room :]}"
        return made + status


def provenance_of(description: str) -> tuple[str, Review]:
    """Provenance and review of a segment with a `Segment.description`; of others "" and not reviewed."""
    match = _DESCRIPTION.search(description)
    if match is None:
        return "", Review()
    made = match["unrecorded"] if match["unrecorded"] not in (None, UNRECORDED) else match["provenance"]
    return made or "", Review.stored(bool(match["reviewed"]), match["by"] or "", match["on"] or "")


def check_segments(segments: Sequence[Segment], shape: tuple[int, int, int]) -> None:
    """Check what every file of segments needs.

    Args:
        shape: (k, j, i) of the series.

    Raises:
        InputError: there is no segment, one is empty, has no name or an unknown kind, or two have the same name.
        ValueError: a mask does not fit the series.
    """
    if not segments:
        raise InputError(_("there is no segment to write: give one"))
    names: set[str] = set()
    for segment in segments:
        if not segment.name.strip():
            raise InputError(_("a segment has no name: give it one"))
        if len(segment.name) > _LONGEST_NAME or not segment.name.isprintable() or "\\" in segment.name:
            raise InputError(
                _("{name} is no name for DICOM files: give at most {longest} characters without a backslash").format(
                    name=one_line(segment.name), longest=_LONGEST_NAME
                )
            )
        if segment.name.casefold() in names:
            raise InputError(_("the name {name} is taken twice: give each segment its own").format(name=segment.name))
        names.add(segment.name.casefold())
        if segment.kind not in (*KINDS, *KEPT_KINDS):
            raise InputError(
                _("{name} is of the unknown type {kind}: choose {kinds}").format(
                    name=segment.name, kind=segment.kind, kinds=", ".join(KINDS)
                )
            )
        if segment.mask.dtype != bool or segment.mask.shape != shape:
            raise ValueError(f"the mask of a segment is {segment.mask.dtype} {segment.mask.shape}, not bool {shape}")
        if not segment.mask.any():
            raise InputError(_("{name} is empty: leave it out, or contour it first").format(name=segment.name))
