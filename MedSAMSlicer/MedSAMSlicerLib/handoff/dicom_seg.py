"""DICOM segmentations (SEG), with highdicom, which is imported when one is made or read."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom import Dataset
from pydicom.uid import generate_uid

from .. import __version__
from ..engine.diagnostics.log import get_logger
from ..engine.errors import InputError, one_line
from ..engine.i18n import tr as _
from .dicom_header import complete_headers
from .segments import COLOURS, Segment, kind_of, provenance_of
from .source_series import SourceSeries

if TYPE_CHECKING:
    import highdicom as hd

# Beside the regions of DICOM's context group 4031.
_ORGANS = (
    *(
        "AdrenalGland",
        "Aorta",
        "Bone",
        "Brain",
        "BrainStem",
        "Cerebellum",
        "Cervix",
        "Duodenum",
        "Kidney",
        "Lens",
        "Liver",
    ),
    *("Lung", "LymphNode", "Muscle", "Nasopharynx", "OpticChiasm", "OpticNerve", "OralCavity", "Oropharynx", "Ovary"),
    *(
        "Pleura",
        "SeminalVesicle",
        "Skin",
        "SoftTissue",
        "SpinalCord",
        "Spleen",
        "Testis",
        "Thyroid",
        "Tongue",
        "Uterus",
    ),
)
# Sequence with the code of a region or organ -> sequence in it with the code of its side.
_MODIFIERS = {
    "AnatomicRegionSequence": "AnatomicRegionModifierSequence",
    "SegmentedPropertyTypeCodeSequence": "SegmentedPropertyTypeModifierCodeSequence",
}
# Kind -> category and type of what was segmented.
_TYPES = {
    "GTV": ("MorphologicallyAbnormalStructure", "Neoplasm"),
    "CTV": ("SpatialAndRelationalConcept", "ClinicalTargetVolume"),
    "PTV": ("SpatialAndRelationalConcept", "PlanningTargetVolume"),
}
_SIDES = ("Left", "Right", "Bilateral")
SERIES_NUMBER = 901
_log = get_logger(__name__)


def highdicom_installed() -> bool:
    """Whether the package that writes SEG and reports can be imported."""
    from importlib.util import find_spec

    return find_spec("highdicom") is not None


def require_highdicom() -> None:
    """Check that highdicom is installed.

    Raises:
        InputError: it is not.
    """
    if not highdicom_installed():
        raise InputError(
            _("DICOM SEG and reports need the package highdicom: install it with the extra 'dicom', or from the panel")
        )


def build_seg(series: SourceSeries, segments: Sequence[Segment]) -> hd.seg.Segmentation:
    """The segmentation of segments that `check_segments` has checked."""
    require_highdicom()
    import highdicom as hd

    with refusals_of_highdicom(series):
        return hd.seg.Segmentation(
            source_images=complete_headers(series),
            pixel_array=np.stack([segment.mask for segment in segments], axis=-1).view(np.uint8),
            segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=[
                _description(number, segment, series) for number, segment in enumerate(segments, start=1)
            ],
            series_instance_uid=hd.UID(),
            series_number=SERIES_NUMBER,
            sop_instance_uid=hd.UID(),
            instance_number=1,
            manufacturer="MedSAMSlicer",
            manufacturer_model_name="MedSAMSlicer",
            software_versions=__version__,
            device_serial_number="1",
            content_description="; ".join(dict.fromkeys(segment.description for segment in segments))[:64],
            content_label="MEDSAM",
            series_description="MedSAM segmentation",
        )


def read_seg(path: Path, series: SourceSeries) -> list[Segment]:
    """Read the segments of a binary DICOM segmentation of a series.

    Raises:
        InputError: the file cannot be read, or belongs to another series; highdicom is not installed.
    """
    require_highdicom()
    import highdicom as hd

    known = {str(header.SOPInstanceUID) for header in series.slices}
    try:
        seg = hd.seg.segread(path)
        if not _sources(seg) <= known:
            raise InputError(f"{path} belongs to another series than that in {series.folder}: give its own series")
        voxels = seg.get_pixels_by_source_instance(
            [str(header.SOPInstanceUID) for header in series.slices],
            ignore_spatial_locations=True,
            assert_missing_frames_are_empty=True,
        )
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        _log.debug("a DICOM segmentation cannot be read: %s", error)
        raise InputError(f"{path} cannot be read as a segmentation of {series.folder}: give its own series") from error
    segments = []
    for n, one in enumerate(seg.SegmentSequence):
        name = str(one.SegmentLabel)
        algorithm = one.get("SegmentationAlgorithmIdentificationSequence") or [{}]
        stated = one.get("SegmentDescription") or algorithm[0].get("AlgorithmParameters") or ""
        provenance, review = provenance_of(str(stated))
        mask = voxels[..., n].astype(bool)
        kind = _kind(one, name)
        tracking_uid = str(one.get("TrackingUID") or "")
        segments.append(
            Segment(
                name,
                mask,
                kind,
                _colour(one),
                provenance,
                review,
                anatomy=_anatomy(one, kind),
                side=_side(one),
                tracking_uid=tracking_uid,
            )
        )
    return segments


def _sources(seg: hd.seg.Segmentation) -> set[str]:
    """SOP instance UIDs of the slices that the frames of a segmentation were drawn on."""
    return {
        str(image.ReferencedSOPInstanceUID)
        for frame in seg.PerFrameFunctionalGroupsSequence
        for derivation in frame.get("DerivationImageSequence", ())
        for image in derivation.get("SourceImageSequence", ())
    }


def _kind(description: Dataset, name: str) -> str:
    """The kind that a stored segment states; if it states none, the one that its name suggests."""
    from pydicom.sr.codedict import codes

    for kind, (_category, keyword) in _TYPES.items():
        if _value(description, "SegmentedPropertyTypeCodeSequence") == getattr(codes.SCT, keyword).value:
            return kind
    category = _value(description, "SegmentedPropertyCategoryCodeSequence")
    return "ORGAN" if category == codes.SCT.AnatomicalStructure.value else kind_of(name)


def _anatomy(description: Dataset, kind: str) -> str:
    """The region or organ that a stored segment states, if we know its code."""
    region = anatomy_name(_value(description, "AnatomicRegionSequence"))
    organ = anatomy_name(_value(description, "SegmentedPropertyTypeCodeSequence")) if kind == "ORGAN" else ""
    return region or organ


def _side(description: Dataset) -> str:
    """The side of the region or organ that a stored segment states."""
    for place, modifier in _MODIFIERS.items():
        if description.get(place) and (side := side_name(_value(description[place][0], modifier))):
            return side
    return ""


def _value(description: Dataset, keyword: str) -> str:
    """Code value of the first item of a sequence of codes; '' if there is none."""
    return str(description[keyword][0].get("CodeValue", "")) if description.get(keyword) else ""


def _colour(description: Dataset) -> tuple[float, float, float]:
    import highdicom as hd

    stored = description.get("RecommendedDisplayCIELabValue")
    if not stored:
        return COLOURS[0]
    red, green, blue = hd.color.CIELabColor.from_dicom_value(tuple(stored)).to_rgb()
    return (red / 255, green / 255, blue / 255)


def _description(number: int, segment: Segment, series: SourceSeries) -> hd.seg.SegmentDescription:
    import highdicom as hd
    from pydicom.sr.codedict import codes

    anatomy = anatomy_code(segment.anatomy)
    category, kind = _TYPES.get(segment.kind, ("AnatomicalStructure", None))
    algorithm = hd.AlgorithmIdentificationSequence(
        name="MedSAMSlicer",
        family=codes.cid7162.ArtificialIntelligence,
        version=__version__,
        parameters={"provenance": segment.description},
    )
    types = hd.seg.SegmentAlgorithmTypeValues
    # Without a record of a model none is claimed; DICOM wants a type, and this is the one without an algorithm.
    description = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=segment.name[:64],
        segmented_property_category=getattr(codes.SCT, category),
        segmented_property_type=getattr(codes.SCT, kind) if kind else anatomy or codes.SCT.Organ,
        algorithm_type=types.SEMIAUTOMATIC if segment.recorded else types.MANUAL,
        algorithm_identification=algorithm if segment.recorded else None,
        tracking_uid=segment.tracking_uid or _tracking_uid(series, segment),
        tracking_id=segment.name[:64],
        anatomic_regions=[anatomy] if kind and anatomy else None,
        display_color=hd.color.CIELabColor.from_rgb(*(round(255 * part) for part in segment.colour)),
    )
    description.SegmentDescription = segment.description
    if anatomy and segment.side:
        side = hd.sr.CodedConcept.from_code(side_code(segment.side))
        place = "AnatomicRegionSequence" if kind else "SegmentedPropertyTypeCodeSequence"
        setattr(description[place][0], _MODIFIERS[place], [side])
    return description


def _tracking_uid(series: SourceSeries, segment: Segment) -> str:
    """The same UID whenever a segment of this name is written for this series."""
    return str(generate_uid(entropy_srcs=["MedSAMSlicer", str(series.first.SeriesInstanceUID), segment.name]))


def anatomy_code(name: str) -> Any:
    """SNOMED CT code of an anatomic region or organ, such as "Lung" or "lymph node"; None for ''.

    Raises:
        InputError: no code of that name is known.
    """
    from pydicom.sr.codedict import codes

    if not name:
        return None
    known = {keyword.casefold(): keyword for keyword in _regions()}
    keyword = known.get(name.replace(" ", "").casefold())
    if keyword is None:
        raise InputError(
            _("the anatomy {name} is unknown: give a region or organ such as {examples}").format(
                name=name, examples="Lung, Liver, Prostate, Brain, Abdomen"
            )
        )
    return getattr(codes.SCT, keyword)


def anatomy_name(code: str) -> str:
    """Name that `anatomy_code` knows, given its SNOMED CT code; '' if there is none."""
    from pydicom.sr.codedict import codes

    return next((keyword for keyword in _regions() if code and getattr(codes.SCT, keyword).value == code), "")


def side_code(name: str) -> Any:
    """SNOMED CT code of `Segment.side`; None for ''."""
    from pydicom.sr.codedict import codes

    return getattr(codes.SCT, name) if name else None


def side_name(code: str) -> str:
    """Side that `side_code` knows, given its SNOMED CT code; '' if there is none."""
    return next((name for name in _SIDES if side_code(name).value == code), "")


def _regions() -> tuple[str, ...]:
    from pydicom.sr.codedict import codes

    return (*codes.cid4031.dir(), *_ORGANS)


@contextmanager
def refusals_of_highdicom(series: SourceSeries) -> Iterator[None]:
    """Turn what highdicom raises on headers that it cannot use into an InputError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on values of the series that are not ours to change
            yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        _log.debug("highdicom refuses a series: %s: %s", type(error).__name__, error)
        raise InputError(
            _("{folder} has headers that no file can be derived from ({error}): export the series again").format(
                folder=series.folder, error=one_line(str(error), 120)
            )
        ) from error
