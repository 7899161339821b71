"""Measurements as DICOM structured reports (template TID 1500) with highdicom."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .. import __version__
from .dicom_header import complete_headers
from .dicom_seg import anatomy_code, refusals_of_highdicom, require_highdicom, side_code
from .measure import Measurements
from .segments import Segment
from .source_series import SourceSeries

if TYPE_CHECKING:
    import highdicom as hd
    from highdicom.coding_schemes import CodingSchemeIdentificationItem

SERIES_NUMBER = 902
_PROCEDURES = {
    "CT": "CTUnspecifiedBodyRegion",
    "MR": "MRIUnspecifiedBodyRegion",
    "PT": "PETUnspecifiedBodyRegion",
}
SCHEME = "99MEDSAM"
"""Designator of the codes of this project, for what no public scheme has a code: DICOM, SNOMED CT and IBSI name no quartile of
a region and no number of parts, and IBSI's surface (C0JK) is that of a mesh, where ours is estimated without one."""
_SURFACE = ("SurfaceCrofton", SCHEME, "Surface area by Crofton's formula")
_PARTS = ("Parts", SCHEME, "Number of connected parts")
_PERCENTILES = {
    5: ("371888009", "SCT", "Fifth percentile"),
    25: ("Percentile25", SCHEME, "Twenty-fifth percentile"),
    75: ("Percentile75", SCHEME, "Seventy-fifth percentile"),
    95: ("371889001", "SCT", "Ninety-fifth percentile"),
}
"""Codes of the percentiles besides the median."""


def build_report(
    series: SourceSeries,
    segments: Sequence[Segment],
    measurements: Sequence[Measurements],
    seg: hd.seg.Segmentation,
) -> hd.sr.Comprehensive3DSR:
    """A report of what was measured of segments, unverified.

    Args:
        series: series that the segments were drawn on.
        segments: as in `seg`.
        measurements: one for each segment.
        seg: DICOM segmentation that the report refers to, from `dicom_seg.build_seg`.

    Raises:
        InputError: highdicom is not installed or refuses the series.
    """
    require_highdicom()
    import highdicom as hd
    from pydicom.sr.codedict import codes

    with refusals_of_highdicom(series):
        device = hd.sr.ObserverContext(
            observer_type=codes.DCM.Device,
            observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(
                uid=hd.UID(), name="MedSAMSlicer", model_name=f"MedSAMSlicer {__version__}"
            ),
        )
        groups = [
            _group(number, segment, measured, series, seg)
            for number, (segment, measured) in enumerate(zip(segments, measurements, strict=True), start=1)
        ]
        content = hd.sr.MeasurementReport(
            observation_context=hd.sr.ObservationContext(observer_device_context=device),
            procedure_reported=getattr(codes.cid100, _PROCEDURES.get(series.modality, "ImagingProcedure")),
            imaging_measurements=groups,
            title=codes.DCM.ImagingMeasurementReport,
            referenced_images=complete_headers(series),
        )
        return hd.sr.Comprehensive3DSR(
            evidence=[*complete_headers(series), seg],
            content=content,
            series_instance_uid=hd.UID(),
            series_number=SERIES_NUMBER,
            sop_instance_uid=hd.UID(),
            instance_number=1,
            manufacturer="MedSAMSlicer",
            is_complete=True,
            is_final=False,
            series_description="MedSAM measurements",
            coding_schemes=[_scheme()],
        )


def _scheme() -> CodingSchemeIdentificationItem:
    from highdicom.coding_schemes import CodingSchemeIdentificationItem

    return CodingSchemeIdentificationItem(
        SCHEME, "Measurements of MedSAMSlicer", version=__version__, responsible_organization="MedSAMSlicer"
    )


def _group(
    number: int, segment: Segment, measured: Measurements, series: SourceSeries, seg: hd.seg.Segmentation
) -> hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations:
    import highdicom as hd

    description = seg.get_segment_description(number)
    region = anatomy_code(segment.anatomy)
    return hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(uid=description.tracking_uid, identifier=segment.name[:64]),
        referenced_segment=hd.sr.ReferencedSegment(
            sop_class_uid=seg.SOPClassUID,
            sop_instance_uid=seg.SOPInstanceUID,
            segment_number=number,
            source_series=hd.sr.SourceSeriesForSegmentation(series.first.SeriesInstanceUID),
        ),
        finding_type=description.segmented_property_type,
        finding_sites=[hd.sr.FindingSite(region, side_code(segment.side))] if region is not None else None,
        algorithm_id=hd.sr.AlgorithmIdentification(
            name="MedSAMSlicer", version=__version__, parameters=[segment.description]
        ),
        measurements=list(_measurements(measured, series.modality)),
    )


def _measurements(measured: Measurements, modality: str) -> Iterator[hd.sr.Measurement]:
    import highdicom as hd
    from pydicom.sr.codedict import codes
    from pydicom.sr.coding import Code

    shape = (
        (codes.SCT.Volume, 1000 * measured.volume_ml, codes.UCUM.CubicMillimeter),
        (codes.cid7470.LongAxis, measured.longest_mm, codes.UCUM.Millimeter),
        (codes.cid7470.PerpendicularAxis, measured.perpendicular_mm, codes.UCUM.Millimeter),
        (Code(*_SURFACE), measured.surface_mm2, codes.UCUM.SquareMillimeter),
        (Code(*_PARTS), measured.parts, codes.UCUM.NoUnits),
    )
    for name, value, unit in shape:
        yield hd.sr.Measurement(name=name, value=_rounded(value), unit=unit)
    values, quantity = measured.values, None if measured.values is None else _quantity(modality, measured.values.unit)
    if values is None or quantity is None:
        return
    name, unit = quantity
    for derivation, value in (
        (codes.SCT.Mean, values.mean),
        (codes.SCT.StandardDeviation, values.sd),
        (codes.SCT.Minimum, values.minimum),
        (codes.SCT.Maximum, values.maximum),
        (codes.SCT.Median, values.percentiles[50]),
        *((Code(*code), values.percentiles[n]) for n, code in _PERCENTILES.items()),
    ):
        yield hd.sr.Measurement(name=name, value=_rounded(value), unit=unit, derivation=derivation)


def _quantity(modality: str, unit: str) -> tuple[Any, Any] | None:
    """What the image's values are, and their unit; None if that has no code."""
    from pydicom.sr.codedict import codes

    if unit == "HU":
        return codes.DCM.AttenuationCoefficient, codes.UCUM.HounsfieldUnit
    if unit.startswith("SUV"):
        return codes.DCM.Suvbw, codes.UCUM.StandardizedUptakeValueBodyWeight
    if unit.upper() == "BQML":
        return codes.DCM.NuclearMedicineTomographicActivity, codes.UCUM.BecquerelsPerMilliliter
    return (codes.DCM.MRSignalIntensity, codes.UCUM.NoUnits) if modality == "MR" else None


def _rounded(value: float) -> float:
    """To six significant digits: more are not measured, and a decimal string of DICOM has 16 characters."""
    return float(f"{value:.6g}")
