"""RT structure sets: what stands in them, and that nothing moves on the way to other programs and back."""

from __future__ import annotations

import shutil
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.handoff.grid import Grid, move_mask
from MedSAMSlicerLib.handoff.read_segments import read_segments
from MedSAMSlicerLib.handoff.rtstruct import write_rtstruct
from MedSAMSlicerLib.handoff.rtstruct_reader import read_rtstruct
from MedSAMSlicerLib.handoff.segments import Review, Segment, kind_of
from MedSAMSlicerLib.handoff.source_series import SourceSeries, read_source_series
from support.contour_area import area
from support.patient_series import ORIENTATIONS, objects, write_patient_series

pytestmark = pytest.mark.slow

OBJECTS = objects()
GTV = Segment("GTVp", OBJECTS["two islands"], "GTV", provenance="litemedsam, SHA-256 79d8; box on slices 2 to 9")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder / "rs.dcm"


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_objects_come_back_to_the_voxel(source: Callable[..., SourceSeries], out: Path, orientation: str) -> None:
    series = source(orientation)
    write_rtstruct(out, series, [Segment(name, mask) for name, mask in OBJECTS.items()])
    found = read_rtstruct(out, series)
    assert [segment.name for segment in found] == list(OBJECTS)
    for segment in found:
        np.testing.assert_array_equal(segment.mask, OBJECTS[segment.name])


@pytest.mark.parametrize("orientation", ["axial", "oblique", "negated columns"])
def test_contours_lie_around_the_voxels_in_the_planes_of_their_slices(
    source: Callable[..., SourceSeries], out: Path, orientation: str
) -> None:
    """The positions are compared with SimpleITK's reading of the series, which shares no code with the writer."""
    series = source(orientation)
    write_rtstruct(out, series, [GTV])
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(series.folder)))
    image = reader.Execute()
    truth = sitk.GetArrayFromImage(image)  # sorted by SimpleITK
    uid_at = {}
    for file in series.folder.iterdir():
        ds = pydicom.dcmread(file)
        k = image.TransformPhysicalPointToContinuousIndex([float(x) for x in ds.ImagePositionPatient])[2]
        uid_at[str(ds.SOPInstanceUID)] = k
        assert (truth[round(k)] == ds.pixel_array.astype(int) - 1024).all()

    [roi] = pydicom.dcmread(out).ROIContourSequence
    extents = []
    for contour in roi.ContourSequence:
        [reference] = contour.ContourImageSequence
        points = np.array(contour.ContourData, float).reshape(-1, 3)
        assert contour.NumberOfContourPoints == len(points)
        indices = np.array([image.TransformPhysicalPointToContinuousIndex(point) for point in points.tolist()])
        np.testing.assert_allclose(indices[:, 2], uid_at[str(reference.ReferencedSOPInstanceUID)], atol=1e-3)
        extents.append([*indices.min(axis=0), *indices.max(axis=0)])
    low, high = np.array(extents)[:, :3].min(axis=0), np.array(extents)[:, 3:].max(axis=0)
    k, j, i = np.nonzero(GTV.mask)
    np.testing.assert_allclose(low, [i.min() - 0.5, j.min() - 0.5, k.min()], atol=1e-3)
    np.testing.assert_allclose(high, [i.max() + 0.5, j.max() + 0.5, k.max()], atol=1e-3)


def test_slices_of_a_tilted_gantry_keep_their_planes(source: Callable[..., SourceSeries], out: Path) -> None:
    series = source(shift_mm=0.8)
    assert any("tilted" in note for note in series.notes)
    mask = OBJECTS["ring with an island"]
    write_rtstruct(out, series, [Segment("Ring", mask)])
    [segment] = read_rtstruct(out, series)
    np.testing.assert_array_equal(segment.mask, mask)
    points = np.vstack([ring for rings in segment.contours.values() for ring in rings])
    origins = np.array([header.ImagePositionPatient for header in series.slices], float)
    assert np.abs(points[:, 2, None] - origins[:, 2]).min(axis=1).max() < 1e-3
    assert series.grid.voxel_ml == pytest.approx(0.9 * 0.9 * 3 / 1000)


def test_the_area_of_the_contours_is_that_of_the_voxels(source: Callable[..., SourceSeries], out: Path) -> None:
    series = source()
    masks = {name: OBJECTS[name] for name in ("ball of 5 px", "ball of 15 px", "ring with an island")}
    write_rtstruct(out, series, [Segment(name, mask) for name, mask in masks.items()])
    for segment in read_rtstruct(out, series):
        per_slice = segment.mask.sum(axis=(1, 2)) * 0.81
        central = int(per_slice.argmax())
        mm2 = sum(area(ring[:, :2]) for ring in segment.contours[central])
        assert mm2 == pytest.approx(per_slice[central], rel=0.01)


def test_the_standard_is_kept(
    source: Callable[..., SourceSeries], out: Path, standard_errors: Callable[[Path], list[str]]
) -> None:
    bare: dict[str, Any] = {"StudyID": None, "ReferringPhysicianName": None, "PatientSex": None}
    for orientation, options in (("axial", bare), ("oblique", {"modality": "MR"})):
        write_rtstruct(out, source(orientation, **options), [GTV, Segment("Ring", OBJECTS["ring with an island"])])
        assert standard_errors(out) == []


def test_values_that_break_rules_are_left_out_but_not_the_patients(
    source: Callable[..., SourceSeries], out: Path, standard_errors: Callable[[Path], list[str]]
) -> None:
    with pytest.warns(UserWarning, match="exceeds the maximum length"):
        series = source(StudyID="a study ID of more than 16 characters")
    write_rtstruct(out, series, [GTV])
    ds = pydicom.dcmread(out)
    assert ds.StudyID in (None, "") and ds.PatientID == "P-17"
    assert standard_errors(out) == []


def test_the_header_says_whose_it_is_and_nothing_else(source: Callable[..., SourceSeries], out: Path) -> None:
    series = source(PatientAddress="12 Some Street", InstitutionName="Hospital", PatientIdentityRemoved="YES")
    write_rtstruct(out, series, [GTV])
    ds = pydicom.dcmread(out)
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "StudyInstanceUID", "StudyDate", "StudyID"):
        assert ds[keyword].value == series.first[keyword].value
    assert ds.AccessionNumber == "A2" and ds.PatientIdentityRemoved == "YES"
    assert "PatientAddress" not in ds and "InstitutionName" not in ds
    assert ds.SeriesInstanceUID != series.first.SeriesInstanceUID
    assert ds.Modality == "RTSTRUCT" and ds.ApprovalStatus == "UNAPPROVED" and ds.OperatorsName == ""
    [frame] = ds.ReferencedFrameOfReferenceSequence
    assert frame.FrameOfReferenceUID == ds.FrameOfReferenceUID == series.first.FrameOfReferenceUID
    [referenced] = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence
    assert [str(image.ReferencedSOPInstanceUID) for image in referenced.ContourImageSequence] == [
        str(header.SOPInstanceUID) for header in series.slices
    ]


def test_each_structure_says_what_it_is_and_where_it_comes_from(source: Callable[..., SourceSeries], out: Path) -> None:
    reviewed = Segment(
        "PTV_6000", OBJECTS["ball of 15 px"], "PTV", provenance="m", review=Review(True, "Doe", "2026-03-01")
    )
    write_rtstruct(out, source(), [GTV, reviewed])
    ds = pydicom.dcmread(out)
    first, second = ds.StructureSetROISequence
    assert (first.ROIName, second.ROIName) == ("GTVp", "PTV_6000")
    assert "litemedsam, SHA-256 79d8; box on slices 2 to 9; computer-generated, not reviewed" in first.ROIDescription
    assert second.ROIDescription.endswith("computer-generated, reviewed by Doe on 2026-03-01")
    assert [one.RTROIInterpretedType for one in ds.RTROIObservationsSequence] == ["GTV", "PTV"]


def test_where_structures_come_from_is_kept_when_they_are_read_and_written_again(
    source: Callable[..., SourceSeries], out: Path
) -> None:
    series = source()
    reviewed = Segment("CTV", OBJECTS["one slice"], provenance="m: 1; GTV + 5 mm", review=Review(True), resampled=True)
    write_rtstruct(out, series, [GTV, reviewed, Segment("Drawn", OBJECTS["one slice"])])
    found = read_rtstruct(out, series)
    assert [one.provenance for one in found] == [GTV.provenance, "m: 1; GTV + 5 mm", ""]
    assert [one.review.reviewed for one in found] == [False, True, False]


@pytest.mark.parametrize("on", ["tomorrow", "2026-02-30", "3026-01-01", "1.3.2026"])
def test_the_date_of_a_review_is_checked(on: str) -> None:
    with pytest.raises(InputError, match=on):
        Review(True, "Doe", on)
    assert Review(True, on="20260301") == Review(True, on="2026-03-01")


@pytest.mark.parametrize("provenance", ["", "litemedsam, SHA-256 79d8", "GTV + 1 mm; " * 120 + "SHA-256 79d8"])
@pytest.mark.parametrize(
    "review",
    [
        Review(),
        Review(True),
        Review(True, "Dr X", "2026-03-01"),
        Review(True, "A on B"),
        Review.stored(True, "", "3.4.26"),
    ],
)
def test_the_review_is_kept_when_it_is_read_and_written_again(
    source: Callable[..., SourceSeries], out: Path, provenance: str, review: Review
) -> None:
    series = source(shape=(3, 40, 44))
    mask = OBJECTS["one slice"][3:6]
    write_rtstruct(out, series, [Segment("CTV", mask, "CTV", provenance=provenance, review=review)])
    description = pydicom.dcmread(out).StructureSetROISequence[0].ROIDescription
    assert len(description) <= 1024 and description.endswith(str(review))
    assert not provenance or f"SHA-256 79d8; computer-generated, {review}" in description
    [found] = read_rtstruct(out, series)
    assert found.review == review
    assert found.description == description


def test_types_that_planning_systems_give_are_kept(source: Callable[..., SourceSeries], out: Path) -> None:
    series = source()
    write_rtstruct(out, series, [GTV])
    ds = pydicom.dcmread(out)
    ds.RTROIObservationsSequence[0].RTROIInterpretedType = "EXTERNAL"
    ds.save_as(out)
    write_rtstruct(out, series, read_rtstruct(out, series))
    assert pydicom.dcmread(out).RTROIObservationsSequence[0].RTROIInterpretedType == "EXTERNAL"


def test_structures_without_contours_are_named_as_empty(source: Callable[..., SourceSeries], out: Path) -> None:
    series = source()
    mask = OBJECTS["one slice"]
    write_rtstruct(out, series, [GTV, Segment("Lung_L", mask), Segment("Lung_R", mask)])
    ds = pydicom.dcmread(out)
    del ds.ROIContourSequence[1].ContourSequence
    del ds.ROIContourSequence[2]
    ds.save_as(out)
    found = read_segments(out, series)
    assert [segment.name for segment in found.segments] == ["GTVp"]
    assert found.empty == ("Lung_L", "Lung_R") and "empty and left out: Lung_L, Lung_R" in found.notes


def moved(path: Path, name: str, x_mm: float) -> None:
    """Write a structure set again with all contours of a structure further left in the patient."""
    ds = pydicom.dcmread(path)
    [number] = [roi.ROINumber for roi in ds.StructureSetROISequence if roi.ROIName == name]
    [roi] = [roi for roi in ds.ROIContourSequence if roi.ReferencedROINumber == number]
    for contour in roi.ContourSequence:
        x, y, z = np.array(contour.ContourData, float).reshape(-1, 3).T
        contour.ContourData = [f"{value:.3f}" for value in np.column_stack([x + x_mm, y, z]).ravel()]
    ds.save_as(path)


def test_objects_that_touch_the_edges_of_the_image_are_whole(source: Callable[..., SourceSeries], out: Path) -> None:
    """The outline of the body in a small field of view, and all there is."""
    series = source("oblique")
    body, everything = np.zeros(series.grid.shape, bool), np.ones(series.grid.shape, bool)
    body[:, 3:, :-1] = True
    write_rtstruct(out, series, [Segment("BODY", body), Segment("All", everything)])
    found = read_segments(out, series)
    assert found.notes == ()
    for segment, mask in zip(found.segments, (body, everything), strict=True):
        np.testing.assert_array_equal(segment.mask, mask)


def test_contours_that_leave_the_image_end_at_its_edge(source: Callable[..., SourceSeries], out: Path) -> None:
    """Other structures of the file are not refused for it, and the contours are written again as they are."""
    series = source()
    write_rtstruct(out, series, [GTV, Segment("Couch", OBJECTS["one slice"]), Segment("Ring", OBJECTS["one slice"])])
    moved(out, "GTVp", 15 * 0.9)
    moved(out, "Couch", 100)
    found = read_segments(out, series)
    assert [segment.name for segment in found.segments] == ["GTVp", "Ring"]
    gtv, ring = found.segments
    np.testing.assert_array_equal(gtv.mask[:, :, 15:], GTV.mask[:, :, :-15])
    assert not gtv.mask[:, :, :15].any()
    np.testing.assert_array_equal(ring.mask, OBJECTS["one slice"])
    [cut, outside] = found.notes
    assert cut.startswith("GTVp reaches beyond the image on 5 slices") and outside.startswith("Couch lies outside")
    assert found.left_out == ("Couch",) and found.empty == ()
    again = out.with_name("again.dcm")
    write_rtstruct(again, series, [gtv])
    assert contour_points(again)[0] == pytest.approx(contour_points(out)[0])


def contour_points(path: Path) -> list[np.ndarray]:
    """All points of each structure."""
    return [
        np.concatenate([np.array(contour.ContourData, float) for contour in roi.ContourSequence])
        for roi in pydicom.dcmread(path).ROIContourSequence
    ]


def test_contours_beyond_the_first_or_last_slice_are_left_out(source: Callable[..., SourceSeries], out: Path) -> None:
    """As planning systems grow margins, without an image of their own."""
    series = source("oblique")
    write_rtstruct(out, series, [GTV, Segment("PTV", OBJECTS["first and last slice"], "PTV")])
    ds = pydicom.dcmread(out)
    [above, below] = ds.ROIContourSequence[1].ContourSequence
    normal = np.cross(*np.array(series.first.ImageOrientationPatient, float).reshape(2, 3))
    for contour, slices in ((above, -1), (below, 2)):
        added = pydicom.Dataset()
        points = np.array(contour.ContourData, float).reshape(-1, 3) + slices * 3 * normal
        added.ContourGeometricType, added.NumberOfContourPoints = "CLOSED_PLANAR", len(points)
        added.ContourData = [f"{value:.3f}" for value in points.ravel()]
        ds.ROIContourSequence[1].ContourSequence.append(added)
    ds.save_as(out)
    found = read_segments(out, series)
    np.testing.assert_array_equal(found.named("PTV").mask, OBJECTS["first and last slice"])
    assert found.notes == ("PTV: 2 contours left out, beyond the first or last slice",)


def test_points_and_lines_are_left_out(source: Callable[..., SourceSeries], out: Path) -> None:
    series = source()
    write_rtstruct(out, series, [GTV, Segment("Marker", OBJECTS["one slice"])])
    ds = pydicom.dcmread(out)
    [contour] = ds.ROIContourSequence[1].ContourSequence
    contour.ContourGeometricType, contour.NumberOfContourPoints = "POINT", 1
    contour.ContourData = contour.ContourData[:3]
    ds.save_as(out)
    found = read_segments(out, series)
    assert found.left_out == ("Marker",) and "Marker: 1 contour left out, points" in found.notes[0]
    np.testing.assert_array_equal(found.named("GTVp").mask, GTV.mask)


def test_structure_sets_outside_of_the_image_are_refused(
    source: Callable[..., SourceSeries], out: Path, refused: Any
) -> None:
    series = source()
    write_rtstruct(out, series, [GTV])
    moved(out, "GTVp", 100)
    with refused(out, "no contour", "give the series that it was drawn on"):
        read_rtstruct(out, series)


def test_names_in_any_language_are_written(source: Callable[..., SourceSeries], out: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        series = source(SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Änne")
    write_rtstruct(out, series, [Segment("肿瘤", OBJECTS["one slice"])])
    ds = pydicom.dcmread(out)
    assert str(ds.PatientName) == "Müller^Änne" and ds.StructureSetROISequence[0].ROIName == "肿瘤"


def test_numbers_have_at_most_16_bytes(source: Callable[..., SourceSeries], out: Path) -> None:
    write_rtstruct(out, source("oblique", origin=(-123456.789012, 1e-7, 98765.4321)), [GTV])
    numbers = out.read_bytes()
    assert numbers
    [roi] = pydicom.dcmread(out).ROIContourSequence
    for contour in roi.ContourSequence:
        assert all(len(str(value.original_string)) <= 16 for value in contour.ContourData)


def test_contours_that_were_read_are_written_again_as_they_are(source: Callable[..., SourceSeries], out: Path) -> None:
    series = source("oblique")
    write_rtstruct(out, series, [GTV])
    [first] = read_rtstruct(out, series)
    again = out.with_name("again.dcm")
    write_rtstruct(again, series, [first])
    [second] = read_rtstruct(again, series)
    for index, rings in first.contours.items():
        for one, other in zip(rings, second.contours[index], strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_real_structure_set_is_read_and_written_again(
    shared_dir: Path, out: Path, standard_errors: Callable[[Path], list[str]]
) -> None:
    """The series' own mask was made by other software; contours stay within a tenth of a voxel."""
    folder = shared_dir / "data" / "dicom"
    series = read_source_series(folder / "sarcoma_001_ct")
    [gtv] = read_rtstruct(folder / "sarcoma_001_rtstruct.dcm", series)
    mask = sitk.GetArrayFromImage(sitk.ReadImage(str(shared_dir / "data" / "sarcoma_001" / "CT_mask.nii.gz"))) > 0
    np.testing.assert_array_equal(gtv.mask, mask)
    write_rtstruct(out, series, [gtv])
    [again] = read_rtstruct(out, series)
    for index, rings in gtv.contours.items():
        for one, other in zip(rings, again.contours[index], strict=True):
            assert np.abs(one - other).max() <= 0.1 * 0.9765
    assert standard_errors(out) == []


@pytest.mark.parametrize(
    ("segments", "mentions"),
    [
        ([], ("no segment",)),
        ([Segment("GTV", np.zeros((11, 40, 44), bool))], ("GTV", "empty")),
        ([GTV, Segment("gtvP", OBJECTS["one slice"])], ("gtvP", "taken twice")),
        ([Segment(" ", OBJECTS["one slice"])], ("no name",)),
        ([Segment("a" * 65, OBJECTS["one slice"])], ("at most 64 characters",)),
        ([Segment("A\\B", OBJECTS["one slice"])], ("backslash",)),
        ([Segment("A", OBJECTS["one slice"], "TUMOUR")], ("TUMOUR", "GTV, CTV, PTV, ORGAN")),
    ],
)
def test_segments_that_cannot_be_written_are_refused(
    source: Callable[..., SourceSeries], out: Path, refused: Any, segments: list[Segment], mentions: tuple[str, ...]
) -> None:
    series = source()
    with refused(*mentions):
        write_rtstruct(out, series, segments)


def test_a_folder_that_is_missing_is_refused(source: Callable[..., SourceSeries], tmp_path: Path, refused: Any) -> None:
    series = source()
    with refused("missing", "folder does not exist"):
        write_rtstruct(tmp_path / "missing" / "rs.dcm", series, [GTV])


def test_series_that_no_file_may_refer_to_are_refused(tmp_path: Path, refused: Any) -> None:
    voxels = np.random.default_rng(0).integers(0, 50, (4, 8, 9))

    def series(name: str, **values: object) -> Any:
        return write_patient_series(tmp_path / name, voxels, **values)  # type: ignore[arg-type]

    gap = series("gap")
    (gap.folder / "002.dcm").unlink()
    two = series("two")
    for file in series("other").folder.iterdir():
        file.rename(two.folder / f"other{file.name}")
    twice = series("twice")
    twice.change(1, SOPInstanceUID=twice.headers[0].SOPInstanceUID)
    frames = series("frames")
    frames.change(1, FrameOfReferenceUID="1.2.3")
    for folder, mentions in {
        gap.folder: ("misses 1 slice",),
        two.folder: ("2 volumes",),
        twice.folder: ("same SOPInstanceUID",),
        frames.folder: ("several frames of reference",),
        series("nowhere", ImagePositionPatient=None).folder: ("no position",),
        series("no frame", FrameOfReferenceUID=None).folder: ("without FrameOfReferenceUID",),
        series("mr", modality="MR", MRAcquisitionType=None).folder: ("without acquisition type",),
        tmp_path / "absent": ("is not a folder",),
    }.items():
        with refused(folder.name, *mentions):
            read_source_series(folder)


def test_structure_sets_of_other_series_are_refused(
    source: Callable[..., SourceSeries], out: Path, refused: Any, tmp_path: Path
) -> None:
    series, other = source(), source("oblique")
    write_rtstruct(out, series, [GTV])
    with refused("another frame of reference"):
        read_rtstruct(out, other)
    with refused("no RT structure set"):
        read_rtstruct(series.folder / "000.dcm", series)
    with refused("cannot be opened"):
        read_rtstruct(tmp_path / "absent.dcm", series)
    text = out.with_name("text.dcm")
    text.write_text("no DICOM")
    with refused("no DICOM file"):
        read_rtstruct(text, series)


@pytest.mark.parametrize("names", ["images and series", "images", "nothing"])
def test_structure_sets_drawn_on_other_slices_of_the_same_patient_are_refused(
    out: Path, refused: Any, tmp_path: Path, names: str
) -> None:
    """Thin slices, of which every second one lies in the plane of a thick one."""
    frame = "1.2.826.0.1.3680043.8.498.7"
    thin = write_patient_series(
        tmp_path / "thin", np.ones((11, 40, 44), int), spacing=(0.9, 0.9, 1.5), FrameOfReferenceUID=frame
    )
    thick = write_patient_series(tmp_path / "thick", np.ones((6, 40, 44), int), FrameOfReferenceUID=frame)
    write_rtstruct(out, read_source_series(thin.folder), [GTV])
    ds = pydicom.dcmread(out)
    if names != "images and series":
        del ds.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence
    if names == "nothing":
        for contour in ds.ROIContourSequence[0].ContourSequence:
            del contour.ContourImageSequence
    ds.save_as(out)
    with refused(out, "give the series that it was drawn on"):
        read_rtstruct(out, read_source_series(thick.folder))
    [found] = read_rtstruct(out, read_source_series(thin.folder))
    np.testing.assert_array_equal(found.mask, GTV.mask)


def test_contours_of_thick_slices_are_refused_on_thin_ones(out: Path, refused: Any, tmp_path: Path) -> None:
    """All planes are those of slices, but every second slice would be empty."""
    frame = "1.2.826.0.1.3680043.8.498.7"
    thin = write_patient_series(
        tmp_path / "thin", np.ones((21, 40, 44), int), spacing=(0.9, 0.9, 1.5), FrameOfReferenceUID=frame
    )
    thick = write_patient_series(tmp_path / "thick", np.ones((11, 40, 44), int), FrameOfReferenceUID=frame)
    write_rtstruct(out, read_source_series(thick.folder), [GTV])
    ds = pydicom.dcmread(out)
    del ds.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence
    ds.save_as(out)
    with refused("GTVp", "lies in none of the slices"):
        read_rtstruct(out, read_source_series(thin.folder))


def test_the_kind_follows_from_the_name() -> None:
    names = ["GTVp", "CTV_High", "PTV_6000", "zPTV_opt", "ITV", "Lung tumour", "Lung_L", "Segment_1"]
    assert [kind_of(name) for name in names] == ["GTV", "CTV", "PTV", "PTV", "CTV", "GTV", "ORGAN", "ORGAN"]
    written_otherwise = ["gtv", "Gtv", "ptv_6000", "pCTV", "rGTV", "iGTV", "Liver-GTV"]
    assert [kind_of(name) for name in written_otherwise] == ["GTV", "GTV", "PTV", "CTV", "GTV", "GTV", "ORGAN"]


@pytest.mark.parametrize("orientation", ["axial", "oblique"])
def test_another_program_reads_the_same_voxels(
    source: Callable[..., SourceSeries], out: Path, orientation: str
) -> None:
    """benchmarks/bench_handoff.py asks more programs."""
    if shutil.which("plastimatch") is None:
        pytest.skip("plastimatch is not installed (Debian: apt-get install plastimatch)")
    series = source(orientation)
    mask = OBJECTS["ring with an island"]
    write_rtstruct(out, series, [Segment("Ring", mask)])
    command = ["plastimatch", "convert", "--input", out, "--referenced-ct", series.folder]
    subprocess.run(
        [*command, "--output-prefix", out.parent / "masks", "--prefix-format", "nrrd"], check=True, capture_output=True
    )
    image = sitk.ReadImage(str(out.parent / "masks" / "Ring.nrrd"))
    found = sitk.GetArrayFromImage(image) > 0
    moved, resampled = move_mask(
        found, Grid.of(found.shape, image.GetSpacing(), image.GetOrigin(), np.reshape(image.GetDirection(), (3, 3))),
        series.grid, "Ring",
    )  # fmt: skip
    assert not resampled
    np.testing.assert_array_equal(moved, mask)


def test_slices_that_share_a_uid_are_refused(source: Callable[..., SourceSeries], refused: Any) -> None:
    """They are no copies of one image: each lies elsewhere."""
    series = source(shape=(5, 8, 8))
    for header in series.headers[1:]:
        ds = pydicom.dcmread(header.file)
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = series.first.SOPInstanceUID
        ds.save_as(header.file)
    with refused(series.folder, "same SOPInstanceUID", "export the series again"):
        read_source_series(series.folder)
