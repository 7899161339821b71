"""DICOM segmentations and reports: read back with highdicom and pydicom, and checked against the standard."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from MedSAMSlicerLib.handoff import dicom_seg
from MedSAMSlicerLib.handoff.dicom_header import save
from MedSAMSlicerLib.handoff.dicom_seg import build_seg, read_seg
from MedSAMSlicerLib.handoff.margins import margin_provenance
from MedSAMSlicerLib.handoff.measure import PERCENTILES, measure
from MedSAMSlicerLib.handoff.segments import Review, Segment, provenance_of
from MedSAMSlicerLib.handoff.source_series import SourceSeries
from MedSAMSlicerLib.handoff.structured_report import build_report
from MedSAMSlicerLib.handoff.terminology import anatomy_of_terminology, side_of_terminology
from MedSAMSlicerLib.handoff.write_dicom import write_dicom
from support.patient_series import objects

pytestmark = pytest.mark.slow

hd = pytest.importorskip("highdicom")
OBJECTS = objects()
SEGMENTS = [
    Segment("GTVp", OBJECTS["two islands"], "GTV", provenance="litemedsam, box", anatomy="lung", side="Left"),
    Segment("Liver", OBJECTS["ball of 15 px"], anatomy="Liver"),  # overlaps
    Segment(
        "PTV_6000", OBJECTS["first and last slice"], "PTV", (0.1, 0.2, 0.9), review=Review(True, "Doe", "2026-03-01")
    ),
    Segment("Mass", OBJECTS["one slice"], "GTV"),
]
SEGMENTS.append(
    Segment("PTV", OBJECTS["ball of 5 px"], "PTV", provenance=margin_provenance(SEGMENTS[3], [5.0], inside=["Body"]))
)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder / "seg.dcm"


@pytest.mark.parametrize("orientation", ["axial", "oblique", "negated rows and columns"])
def test_segments_lie_on_the_slices_of_the_series(
    source: Callable[..., SourceSeries], out: Path, orientation: str
) -> None:
    series = source(orientation)
    write_dicom(series, SEGMENTS, seg=out)
    seg = hd.seg.segread(out)
    uids = [str(header.SOPInstanceUID) for header in series.slices]
    found = seg.get_pixels_by_source_instance(uids, ignore_spatial_locations=True)
    for n, segment in enumerate(SEGMENTS):
        np.testing.assert_array_equal(found[..., n].astype(bool), segment.mask)
    for segment, again in zip(SEGMENTS, read_seg(out, series), strict=True):
        assert (again.name, again.kind) == (segment.name, segment.kind)
        assert again.review == segment.review
        np.testing.assert_allclose(again.colour, segment.colour, atol=0.02)
        np.testing.assert_array_equal(again.mask, segment.mask)
        assert again.provenance == segment.provenance
        assert (again.anatomy.casefold(), again.side) == (segment.anatomy.casefold(), segment.side)
    shared = seg.SharedFunctionalGroupsSequence[0]
    np.testing.assert_allclose(
        shared.PlaneOrientationSequence[0].ImageOrientationPatient, series.first.ImageOrientationPatient
    )
    assert seg.FrameOfReferenceUID == series.first.FrameOfReferenceUID


def test_each_segment_says_what_it_is(source: Callable[..., SourceSeries], out: Path) -> None:
    write_dicom(source(), SEGMENTS, seg=out)
    tumour, liver, target, _mass, _grown = hd.seg.segread(out).SegmentSequence
    assert tumour.SegmentLabel == "GTVp" and tumour.SegmentAlgorithmType == "SEMIAUTOMATIC"
    assert tumour.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Neoplasm"
    assert tumour.AnatomicRegionSequence[0].CodeMeaning == "Lung"
    assert tumour.AnatomicRegionSequence[0].AnatomicRegionModifierSequence[0].CodeMeaning == "Left"
    assert "litemedsam, box" in str(tumour.SegmentationAlgorithmIdentificationSequence[0].AlgorithmParameters)
    assert liver.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Liver"
    assert target.SegmentedPropertyTypeCodeSequence[0].CodeMeaning.startswith("Planning target volume")
    assert len({one.TrackingUID for one in (tumour, liver, target)}) == 3


def test_no_algorithm_is_claimed_without_a_record(
    source: Callable[..., SourceSeries], out: Path, standard_errors: Callable[[Path], list[str]]
) -> None:
    rs = out.with_name("rs.dcm")
    write_dicom(source(), SEGMENTS, seg=out, rtstruct=rs)
    structures = pydicom.dcmread(rs).StructureSetROISequence
    for segment, written, structure in zip(SEGMENTS, hd.seg.segread(out).SegmentSequence, structures, strict=True):
        known = segment is SEGMENTS[0]
        assert written.SegmentAlgorithmType == ("SEMIAUTOMATIC" if known else "MANUAL")
        assert ("SegmentationAlgorithmIdentificationSequence" in written) == known
        assert structure.ROIGenerationAlgorithm == ("SEMIAUTOMATIC" if known else "")
        assert structure.ROIDescription == written.SegmentDescription == segment.description
        assert ("MedSAMSlicer" in segment.description) == known
    assert SEGMENTS[3].description == "origin not recorded; not reviewed"
    grown = "origin not recorded; Mass with a margin of 5 mm, inside of Body"
    assert SEGMENTS[4].description == f"{grown}; not reviewed"
    again = replace(SEGMENTS[4], name="CTV", resampled=True)
    assert provenance_of(again.description) == (grown, Review())
    twice = margin_provenance(again, [3.0])
    assert twice == "origin not recorded; CTV with a margin of 3 mm; Mass with a margin of 5 mm, inside of Body"
    assert standard_errors(out) == standard_errors(rs) == []


def test_a_segment_keeps_its_tracking_uid(source: Callable[..., SourceSeries], out: Path) -> None:
    def uids(series: SourceSeries, segments: list[Segment]) -> list[str]:
        write_dicom(series, segments, seg=out)
        return [str(one.TrackingUID) for one in hd.seg.segread(out).SegmentSequence]

    series = source()
    first = uids(series, SEGMENTS)
    assert uids(series, SEGMENTS) == first, "the same in every export"
    assert not set(uids(source("oblique"), SEGMENTS)) & set(first)
    write_dicom(series, SEGMENTS, seg=out)
    again = [replace(one, name=f"{one.name}_2") for one in read_seg(out, series)]
    assert uids(series, again) == first, "also under another name, once it was read from a file that states it"


@pytest.mark.parametrize(
    ("category", "kind", "region", "anatomy"),
    [
        ("SCT^49755003^Morphologically Altered Structure", "SCT^4147007^Mass", "SCT^39607008^Lung", "Lung"),
        ("SCT^123037004^Anatomical Structure", "SCT^10200004^Liver", "^^", "Liver"),
        ("SCT^85756007^Tissue", "SCT^85756007^Tissue", "^^", ""),
        ("SCT^123037004^Anatomical Structure", "99X^1^Elbow grease", "99X^2^Elbow", ""),
    ],
)
def test_the_anatomy_is_that_of_the_terminology_in_slicer(category: str, kind: str, region: str, anatomy: str) -> None:
    text = f"Segmentation category and type~{category}~{kind}~^^~Anatomic codes~{region}~^^|"
    assert anatomy_of_terminology(text) == anatomy
    assert anatomy_of_terminology("") == side_of_terminology("") == ""


@pytest.mark.parametrize(
    ("code", "side"), [("7771000", "Left"), ("24028007", "Right"), ("51440002", "Bilateral"), ("1", "")]
)
def test_the_side_is_that_of_the_organ_or_of_the_region(code: str, side: str) -> None:
    organ, modifier = "SCT^64033007^Kidney", f"SCT^{code}^any"
    structure, tumour = "SCT^123037004^Anatomical Structure", "SCT^49755003^Morphologically Altered Structure"
    kidney = f"any~{structure}~{organ}~{modifier}~Anatomic codes~^^~^^|"
    mass = f"any~{tumour}~SCT^4147007^Mass~SCT^7771000^Left~Anatomic codes~{organ}~{modifier}|"
    assert anatomy_of_terminology(kidney) == anatomy_of_terminology(mass) == "Kidney"
    assert side_of_terminology(kidney) == side_of_terminology(mass) == side


def test_the_side_of_an_organ_is_written_and_read(
    source: Callable[..., SourceSeries], out: Path, standard_errors: Callable[[Path], list[str]]
) -> None:
    series, report = source(), out.with_name("sr.dcm")
    write_dicom(
        series, [Segment("Kidney", OBJECTS["one slice"], anatomy="Kidney", side="Right")], seg=out, report=report
    )
    [kidney] = hd.seg.segread(out).SegmentSequence
    assert (
        kidney.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Right"
    )
    [again] = read_seg(out, series)
    assert (again.anatomy, again.side) == ("Kidney", "Right")
    [group] = hd.sr.srread(report).content.get_volumetric_roi_measurement_groups()
    [site] = group.finding_sites
    assert (site.value.meaning, site.laterality.meaning) == ("Kidney", "Right")
    assert standard_errors(out) == standard_errors(report) == []


def test_the_report_holds_the_measurements(
    source: Callable[..., SourceSeries], out: Path, standard_errors: Callable[[Path], list[str]]
) -> None:
    series = source()
    voxels = np.random.default_rng(3).integers(-100, 200, series.grid.shape)
    measured = [measure(one.name, one.mask, series.grid, voxels, "HU") for one in SEGMENTS]
    seg = build_seg(series, SEGMENTS)
    save(build_report(series, SEGMENTS, measured, seg), out)
    assert standard_errors(out) == []
    report = hd.sr.srread(out)
    assert report.VerificationFlag == "UNVERIFIED"
    [scheme] = report.CodingSchemeIdentificationSequence
    assert scheme.CodingSchemeDesignator == "99MEDSAM", "as every private scheme that its codes are of"
    groups = report.content.get_volumetric_roi_measurement_groups()
    assert [group.tracking_identifier for group in groups] == ["GTVp", "Liver", "PTV_6000", "Mass", "PTV"]
    for group, segment, one in zip(groups, seg.SegmentSequence, measured, strict=True):
        assert group.tracking_uid == segment.TrackingUID
        values = {
            (item.name.meaning, item.derivation.meaning if item.derivation else ""): item.value
            for item in group.get_measurements()
        }
        assert values["Volume", ""] == pytest.approx(1000 * one.volume_ml, rel=1e-5)
        assert values["Surface area by Crofton's formula", ""] == pytest.approx(one.surface_mm2, rel=1e-5)
        assert values["Number of connected parts", ""] == one.parts
        assert values["Long axis", ""] == pytest.approx(one.longest_mm, rel=1e-5)
        assert one.values is not None
        assert values["Attenuation Coefficient", "Mean"] == pytest.approx(one.values.mean, rel=1e-5)
        meanings = ("Fifth percentile", "Twenty-fifth percentile", "Median", "Seventy-fifth percentile")
        for percent, meaning in zip(PERCENTILES, (*meanings, "Ninety-fifth percentile"), strict=True):
            expected = one.values.percentiles[percent]
            assert values["Attenuation Coefficient", meaning] == pytest.approx(expected, rel=1e-5)


def test_uptake_that_is_no_suv_is_reported_as_activity(
    source: Callable[..., SourceSeries], out: Path, standard_errors: Callable[[Path], list[str]]
) -> None:
    series = source(modality="PT", Units="BQML")
    write_dicom(series, SEGMENTS[:1], seg=out, report=out.with_name("sr.dcm"))
    [group] = hd.sr.srread(out.with_name("sr.dcm")).content.get_volumetric_roi_measurement_groups()
    found = {item.unit.value for item in group.get_measurements() if "Activity" in item.name.meaning}
    assert found == {"Bq/ml"}
    assert standard_errors(out.with_name("sr.dcm")) == []


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_the_standard_is_kept(
    source: Callable[..., SourceSeries], out: Path, standard_errors: Callable[[Path], list[str]], modality: str
) -> None:
    write_dicom(source("oblique", modality=modality, StudyID=None, AccessionNumber=None), SEGMENTS, seg=out)
    assert standard_errors(out) == []


def test_what_cannot_be_written_is_refused(
    source: Callable[..., SourceSeries], out: Path, refused: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = source()
    with refused("anatomy", "Elbow grease"):
        write_dicom(series, [Segment("A", OBJECTS["one slice"], anatomy="Elbow grease")], seg=out)
    with refused("empty"):
        write_dicom(series, [Segment("A", np.zeros(series.grid.shape, bool))], seg=out)
    monkeypatch.setattr(dicom_seg, "highdicom_installed", lambda: False)
    with refused("highdicom", "install it"):
        write_dicom(series, SEGMENTS, seg=out)


def test_the_patient_is_that_of_the_series_and_nothing_else_is_said(
    source: Callable[..., SourceSeries], out: Path, standard_errors: Callable[[Path], list[str]]
) -> None:
    kept = {"PatientName": "Müller^Änne", "StudyDescription": "Schädel Übersicht", "ReferringPhysicianName": "Dr^Ü"}
    private = {
        "PatientAddress": "12 Some Street",
        "PatientComments": "Ängstlich",
        "PatientAge": "045Y",
        "PatientWeight": "70",
        "AdmittingDiagnosesDescription": "Geschwür",
        "NameOfPhysiciansReadingStudy": "Ö",
        "InstitutionName": "Klinik Köln",
        "ClinicalTrialSubjectID": "X",
    }
    code = pydicom.Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "1", "99X", "Geräte gelöscht"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        series = source(SpecificCharacterSet="ISO_IR 100", DeidentificationMethodCodeSequence=[code], **kept, **private)
    files = {"rtstruct": out.with_name("rs.dcm"), "seg": out, "report": out.with_name("sr.dcm")}
    write_dicom(series, [Segment("肿瘤", OBJECTS["one slice"])], **files)
    for path in files.values():
        ds = pydicom.dcmread(path)
        assert {keyword: str(ds[keyword].value) for keyword in kept} == kept
        assert ds.DeidentificationMethodCodeSequence[0].CodeMeaning == "Geräte gelöscht"
        assert ds.PatientID == "P-17" and ds.StudyID == "S1"
        text = str(ds)
        for keyword, value in private.items():
            assert keyword not in ds and (len(value) < 3 or value not in text), keyword
        assert standard_errors(path) == []
    assert pydicom.dcmread(out).SegmentSequence[0].SegmentLabel == "肿瘤"


def test_a_segmentation_of_another_series_is_refused(
    source: Callable[..., SourceSeries], out: Path, refused: Any
) -> None:
    other = source("oblique")
    write_dicom(source(), SEGMENTS, seg=out)
    with refused(out, "belongs to another series"):
        read_seg(out, other)
