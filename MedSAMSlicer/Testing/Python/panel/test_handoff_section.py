"""Section 'Hand-off': from segments in the scene to DICOM files, margins and measurements, as a user does it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
import slicer
import vtk

from MedSAMSlicerLib.engine.masks import dice
from MedSAMSlicerLib.engine.provenance import PROVENANCE_TAG
from MedSAMSlicerLib.engine.review import SEEN_TAG, TO_REVIEW_TAG
from MedSAMSlicerLib.handoff.rtstruct_reader import read_rtstruct
from MedSAMSlicerLib.handoff.source_series import read_source_series
from MedSAMSlicerLib.panel.handoff_nodes import entries
from MedSAMSlicerLib.scene.writing.segment_tags import tag_of
from support.panel_views import rows_of
from support.patient_series import PatientSeries, ball, write_patient_series

SHAPE = (11, 40, 44)
BALL = ball(SHAPE, (5, 19, 21), 10)
OTHER = ball(SHAPE, (5, 19, 30), 5)


class Database:
    """What the panel uses of ctkDICOMDatabase."""

    isOpen = True

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.inserted: list[str] = []

    def fileForInstance(self, uid: str) -> str:
        return self.files.get(uid, "")

    def insert(self, path: str) -> None:
        self.inserted.append(path)


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    database = Database()
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    return database


@pytest.fixture
def series(tmp_path: Path) -> PatientSeries:
    voxels = np.where(BALL, 60, -100)
    return write_patient_series(tmp_path / "series", voxels, orientation="oblique")


def add_volume(series: PatientSeries) -> Any:
    """The volume as Slicer's DICOM module loads it: the same voxels, but in the order that VTK likes."""
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(series.folder)))
    image = reader.Execute()
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    matrix[:3, 3] = image.GetOrigin()
    ijk_to_ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ matrix
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(ijk_to_ras))
    slicer.util.updateVolumeFromArray(node, sitk.GetArrayFromImage(image).astype(np.int16))
    node.SetAttribute("DICOM.instanceUIDs", " ".join(str(header.SOPInstanceUID) for header in series.headers))
    return node


@pytest.fixture
def scene(widget: Any, ui: Any, series: PatientSeries) -> SimpleNamespace:
    """A CT and a segmentation of two overlapping segments, chosen in the panel."""
    volume = add_volume(series)
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Segmentation")
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    for name, mask in {"Lung tumour": BALL, "Heart": OTHER}.items():
        labelmap = slicer.vtkOrientedImageData()
        labelmap.SetImageToWorldMatrix(matrix)
        labelmap.SetDimensions(mask.shape[::-1])
        labelmap.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
        vtk.util.numpy_support.vtk_to_numpy(labelmap.GetPointData().GetScalars())[:] = mask.ravel()
        segment = slicer.vtkSegment()
        segment.SetName(name)
        segment.AddRepresentation("Binary labelmap", labelmap)
        segmentation.GetSegmentation().AddSegment(segment, name)
    ui.handoffSegmentationSelector.setCurrentNode(segmentation)
    ui.handoffVolumeSelector.setCurrentNode(volume)
    return SimpleNamespace(volume=volume, segmentation=segmentation)


def select(ui: Any, row: int) -> None:
    ui.handoffTable.selectRow(row)


def test_segments_are_listed_with_what_files_will_say(scene: Any, ui: Any) -> None:
    assert rows_of(ui.handoffTable) == [
        ["\N{WARNING SIGN} Lung tumour", "GTV", "", "no"],
        ["Heart", "ORGAN", "", "no"],
    ]
    scene.segmentation.GetSegmentation().GetSegment("Heart").SetName("Rib")
    assert rows_of(ui.handoffTable)[1][0] == "Rib"
    scene.segmentation.GetSegmentation().RemoveSegment("Heart")
    assert len(rows_of(ui.handoffTable)) == 1


def test_names_are_warned_of_and_mended_only_by_the_user(host: Any, scene: Any, ui: Any) -> None:
    select(ui, 0)
    assert "has spaces" in ui.handoffNameHint.text and "has spaces" in ui.handoffTable.item(0, 0).toolTip()
    host.user.click(ui.handoffMendButton)
    assert ui.handoffNameEdit.text == "Lung_tumour"
    ui.handoffNameEdit.text = "GTV"
    assert "GTVp" in ui.handoffNameHint.text, "names are suggested while typing"
    ui.handoffNameEdit.text = "GTVp"
    assert not ui.handoffMendButton.visible
    assert rows_of(ui.handoffTable)[0][0] == "GTVp" and "TG-263" not in ui.handoffTable.item(0, 0).toolTip()
    assert scene.segmentation.GetSegmentation().GetSegment("Lung tumour").GetName() == "Lung tumour"


def test_choices_are_saved_with_the_segmentation(host: Any, scene: Any, ui: Any) -> None:
    select(ui, 0)
    ui.handoffNameEdit.text = "GTVp"
    host.user.choose(ui.handoffTypeComboBox, "CTV")
    host.user.click(ui.handoffReviewedCheckBox)
    select(ui, 1)
    assert ui.handoffNameEdit.text == "Heart" and not ui.handoffReviewedCheckBox.checked
    assert rows_of(ui.handoffTable)[0] == ["GTVp", "CTV", "", "yes"]
    assert ui.handoffTable.item(0, 0).toolTip() == "Segment Lung tumour"
    copy = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Copy")
    copy.Copy(scene.segmentation)
    first = entries(copy)[0]
    assert (first.name, first.kind, first.review.reviewed) == ("GTVp", "CTV", True)


def test_what_was_looked_at_in_the_effect_is_the_review_unless_the_user_says_otherwise(
    host: Any, scene: Any, ui: Any
) -> None:
    tumour = scene.segmentation.GetSegmentation().GetSegment("Lung tumour")
    select(ui, 0)
    assert ui.handoffReviewedCheckBox.text == "Reviewed" and not ui.handoffReviewFrame.visible
    tumour.SetTag(TO_REVIEW_TAG, "Volume1.K3 Volume1.K5")
    tumour.SetTag(SEEN_TAG, "Volume1.K5")
    assert "1 of 2 slices" in ui.handoffReviewedCheckBox.text
    assert rows_of(ui.handoffTable)[0][3] == "no" and not ui.handoffReviewedCheckBox.checked
    tumour.SetTag(SEEN_TAG, "Volume1.K3 Volume1.K5")
    assert rows_of(ui.handoffTable)[0][3] == "yes" and ui.handoffReviewedCheckBox.checked
    ui.handoffNameEdit.text = "GTVp"
    tumour.RemoveTag(SEEN_TAG)
    assert rows_of(ui.handoffTable)[0] == ["GTVp", "GTV", "", "no"], "another choice does not say that it was reviewed"
    host.user.click(ui.handoffReviewedCheckBox)
    assert rows_of(ui.handoffTable)[0][3] == "yes"
    tumour.SetTag(SEEN_TAG, "Volume1.K3 Volume1.K5")
    host.user.click(ui.handoffReviewedCheckBox)
    assert rows_of(ui.handoffTable)[0][3] == "no" and not ui.handoffReviewFrame.visible
    assert not entries(scene.segmentation)[1].review.reviewed


def test_who_reviewed_and_when_is_said_only_if_it_is_entered(
    host: Any, scene: Any, ui: Any, series: PatientSeries, tmp_path: Path
) -> None:
    scene.segmentation.GetSegmentation().GetSegment("Lung tumour").SetTag(PROVENANCE_TAG, "model m")
    out = tmp_path / "out"

    def description() -> str:
        for file in out.glob("*"):
            file.unlink()
        out.mkdir(exist_ok=True)
        ui.handoffFolderButton.directory, ui.handoffSeriesButton.directory = str(out), str(series.folder)
        host.user.click(ui.handoffExportButton)
        [file] = out.iterdir()
        return str(pydicom.dcmread(file).StructureSetROISequence[0].ROIDescription)

    select(ui, 0)
    assert description().endswith("computer-generated, not reviewed")
    host.user.click(ui.handoffReviewedCheckBox)
    assert description().endswith("computer-generated, reviewed")
    for edit, text in ((ui.handoffReviewedByEdit, "Dr|Doe "), (ui.handoffReviewedOnEdit, "2026-03-01")):
        edit.text = text
        edit.editingFinished.emit()
    assert ui.handoffReviewedByEdit.text == "Dr Doe", "the sign separates tags in files"
    assert description().endswith("reviewed by Dr Doe on 2026-03-01")
    for wrong, problem in (("3.4.26", "YYYY-MM-DD"), ("2999-01-01", "future")):
        ui.handoffReviewedOnEdit.text = wrong
        ui.handoffReviewedOnEdit.editingFinished.emit()
        assert problem in ui.handoffMessage.text and ui.handoffReviewedOnEdit.text == "2026-03-01"
        ui.handoffReviewedOnEdit.text = wrong  # as on a Mac, where a click does not end the editing
        files = sorted(out.iterdir())
        host.user.click(ui.handoffExportButton)
        assert problem in ui.handoffMessage.text and sorted(out.iterdir()) == files
    host.user.click(ui.handoffReviewedCheckBox)
    host.user.click(ui.handoffReviewedCheckBox)
    assert description().endswith("computer-generated, reviewed"), "what was taken back is forgotten"


def test_files_are_written_and_added_to_the_database(
    host: Any, scene: Any, ui: Any, database: Database, series: PatientSeries, widget: Any, tmp_path: Path
) -> None:
    database.files = {
        str(header.SOPInstanceUID): str(series.folder / f"{n:03d}.dcm") for n, header in enumerate(series.headers)
    }
    widget.panel.refresh()
    assert "11 slices" in ui.handoffSeriesLabel.text and not ui.handoffSeriesFrame.visible
    out = tmp_path / "out"
    out.mkdir()
    ui.handoffFolderButton.directory = str(out)
    scene.segmentation.GetSegmentation().GetSegment("Lung tumour").SetTerminology(
        "Any~SCT^49755003^Morphologically Altered Structure~SCT^4147007^Mass~^^~Any~SCT^39607008^Lung~^^"
    )
    select(ui, 0)
    ui.handoffNameEdit.text = "GTVp"
    host.user.click(ui.handoffSegCheckBox)
    host.user.click(ui.handoffReportCheckBox)
    host.user.click(ui.handoffExportButton)
    assert "written to" in ui.handoffMessage.text, ui.handoffMessage.text
    assert sorted(database.inserted) == sorted(str(path) for path in out.iterdir())
    [rtstruct] = out.glob("RTSTRUCT-*.dcm")
    assert len(list(out.iterdir())) == 3
    [seg] = out.glob("SEG-*.dcm")
    assert pydicom.dcmread(seg).SegmentSequence[0].AnatomicRegionSequence[0].CodeMeaning == "Lung"
    for segment, name, mask in zip(
        read_rtstruct(rtstruct, read_source_series(series.folder)), ("GTVp", "Heart"), (BALL, OTHER), strict=True
    ):
        assert segment.name == name
        np.testing.assert_array_equal(segment.mask, mask)


def test_a_moved_volume_is_written_where_the_patient_lay(
    host: Any, scene: Any, ui: Any, series: PatientSeries, tmp_path: Path
) -> None:
    """Without a database the user chooses the folder. Volume and segmentation were registered to another scan."""
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 25)
    transform.SetMatrixTransformToParent(matrix)
    for node in (scene.volume, scene.segmentation):
        node.SetAndObserveTransformNodeID(transform.GetID())
    assert ui.handoffSeriesFrame.visible
    ui.handoffSeriesButton.directory = str(series.folder)
    out = tmp_path / "out"
    out.mkdir()
    ui.handoffFolderButton.directory = str(out)
    host.user.click(ui.handoffExportButton)
    [file] = out.iterdir()
    tumour, _heart = read_rtstruct(file, read_source_series(series.folder))
    np.testing.assert_array_equal(tumour.mask, BALL)
    roi = pydicom.dcmread(file).StructureSetROISequence[0]
    assert "not reviewed" in roi.ROIDescription


def test_slices_of_a_tilted_gantry_are_matched_by_their_uids(host: Any, scene: Any, ui: Any, tmp_path: Path) -> None:
    """Slicer loads them with right angles, here in reverse order."""
    tilted = write_patient_series(tmp_path / "tilted", np.where(BALL, 60, -100), shift_mm=0.8)
    uids = [str(header.SOPInstanceUID) for header in tilted.headers]
    scene.volume.SetAttribute("DICOM.instanceUIDs", " ".join(reversed(uids)))
    out = tmp_path / "out"
    out.mkdir()
    ui.handoffFolderButton.directory, ui.handoffSeriesButton.directory = str(out), str(tilted.folder)
    host.user.click(ui.handoffExportButton)
    [file] = out.iterdir()
    tumour, _heart = read_rtstruct(file, read_source_series(tilted.folder))
    np.testing.assert_array_equal(tumour.mask, BALL[::-1])
    scene.volume.SetAttribute("DICOM.instanceUIDs", " ".join(uids[:-1]))
    host.user.click(ui.handoffExportButton)
    assert "cannot be matched" in ui.handoffMessage.text


def test_a_margin_becomes_a_segment_that_may_overlap(host: Any, scene: Any, ui: Any) -> None:
    select(ui, 0)
    ui.handoffMarginEdit.text = "5"
    host.user.click(ui.handoffMarginButton)
    assert rows_of(ui.handoffTable)[2] == ["PTV", "PTV", "5 mm", "no"]
    grown = slicer.util.arrayFromSegmentBinaryLabelmap(
        scene.segmentation, entries(scene.segmentation)[2].segment_id, scene.volume
    )
    assert dice(grown.astype(bool), ball(SHAPE, (5, 19, 21), 10 + 5 / 0.9, 3 / 0.9)) > 0.9
    kept = slicer.util.arrayFromSegmentBinaryLabelmap(scene.segmentation, "Lung tumour", scene.volume)
    np.testing.assert_array_equal(kept.astype(bool), BALL)
    assert "already" in ui.handoffMarginNameHint.text, "before the button is clicked"
    host.user.click(ui.handoffMarginButton)
    assert "already" in ui.handoffMessage.text


def test_the_name_of_a_margin_is_checked_while_it_is_typed(ui: Any) -> None:
    assert not ui.handoffMarginNameHint.visible
    for name, hint in (("PTV 60 Gy", "has spaces (TG-263): PTV_6000 would do"), ("PTV_6000", ""), ("", "")):
        ui.handoffMarginNameEdit.text = name
        assert hint in ui.handoffMarginNameHint.text and ui.handoffMarginNameHint.visible == bool(hint)


def test_a_margin_avoids_a_segment_and_stays_inside_of_another(host: Any, scene: Any, ui: Any) -> None:
    body = scene.segmentation.GetSegmentation().AddEmptySegment("Body", "Body")
    inside = np.zeros(SHAPE, bool)
    inside[:, 10:30, :] = True
    slicer.util.updateSegmentBinaryLabelmapFromArray(inside.astype(np.uint8), scene.segmentation, body, scene.volume)
    host.user.choose(ui.handoffAvoidComboBox, "Heart")
    host.user.choose(ui.handoffInsideComboBox, "Body")
    select(ui, 0)
    ui.handoffMarginEdit.text = "5"
    host.user.click(ui.handoffMarginButton)
    grown = slicer.util.arrayFromSegmentBinaryLabelmap(
        scene.segmentation, entries(scene.segmentation)[3].segment_id, scene.volume
    ).astype(bool)
    assert grown[BALL].all() and (grown & ~BALL).any()
    assert not (grown & ~BALL & (OTHER | ~inside)).any()
    assert ui.handoffAvoidComboBox.currentText == "Heart" and ui.handoffInsideComboBox.currentText == "Body"
    ptv = scene.segmentation.GetSegmentation().GetSegment(entries(scene.segmentation)[3].segment_id)
    assert "margin of 5 mm, outside of Heart, inside of Body" in tag_of(ptv, PROVENANCE_TAG)
    scene.segmentation.GetSegmentation().RemoveSegment("Heart")
    assert ui.handoffAvoidComboBox.currentText == "none" and ui.handoffInsideComboBox.currentText == "Body"


def test_measurements_fill_a_table_and_are_copied(host: Any, scene: Any, ui: Any) -> None:
    entry = slicer.vtkCodedEntry()
    entry.SetValueSchemeMeaning("[hnsf'U]", "UCUM", "Hounsfield unit")
    scene.volume.SetVoxelValueUnits(entry)
    assert not ui.handoffCopyButton.enabled
    host.user.click(ui.handoffMeasureButton)
    assert "Lung tumour: " in ui.handoffMessage.text and "ml" in ui.handoffMessage.text
    table = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLTableNode")
    assert table.GetNumberOfRows() == 2
    columns = [table.GetColumnName(n) for n in range(table.GetNumberOfColumns())]
    assert float(table.GetCellText(0, columns.index("mean"))) == 60 and "HU" in table.GetCellText(
        0, columns.index("unit")
    )
    host.user.click(ui.handoffCopyButton)
    import qt

    assert qt.QApplication.clipboard().text().startswith("segment,volume_ml")


@pytest.mark.parametrize(
    ("spoil", "mention"),
    [
        (lambda scene, ui, out: setattr(ui.handoffSeriesButton, "directory", str(empty(out))), "holds no DICOM image"),
        (lambda scene, ui, out: setattr(ui.handoffFolderButton, "directory", str(out / "absent")), "does not exist"),
        (lambda scene, ui, out: ui.handoffRtstructCheckBox.click(), "no output is chosen"),
        (lambda scene, ui, out: empty_all(scene), "all segments are empty"),
    ],
    ids=["no series", "no folder", "no file", "empty segments"],
)
def test_what_cannot_be_written_is_said_in_one_line(
    host: Any, scene: Any, ui: Any, series: PatientSeries, tmp_path: Path, spoil: Any, mention: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    ui.handoffFolderButton.directory, ui.handoffSeriesButton.directory = str(out), str(series.folder)
    spoil(scene, ui, out)
    host.user.click(ui.handoffExportButton)
    assert "Error:" in ui.handoffMessage.text and mention in ui.handoffMessage.text.replace("\u200b", "")
    assert list(out.iterdir()) == []


def empty(out: Path) -> Path:
    folder = out.with_name("empty")
    folder.mkdir()
    return folder


def empty_all(scene: Any) -> None:
    segmentation = scene.segmentation.GetSegmentation()
    segmentation.RemoveAllSegments()
    segmentation.AddEmptySegment("E", "Empty")


def test_empty_segments_are_left_out_and_named(
    host: Any, scene: Any, ui: Any, series: PatientSeries, tmp_path: Path
) -> None:
    scene.segmentation.GetSegmentation().AddEmptySegment("E", "Rib")
    ui.handoffFolderButton.directory, ui.handoffSeriesButton.directory = str(tmp_path), str(series.folder)
    host.user.click(ui.handoffExportButton)
    assert "left out: Rib." in ui.handoffMessage.text, ui.handoffMessage.text
    assert "has spaces (TG-263): Lung_tumour would do" in ui.handoffMessage.text
    assert "No record of model and prompts" in ui.handoffMessage.text
    [written] = tmp_path.glob("RTSTRUCT-*.dcm")
    assert [one.name for one in read_rtstruct(written, read_source_series(series.folder))] == ["Lung tumour", "Heart"]
    host.user.click(ui.handoffMeasureButton)
    assert "left out: Rib." in ui.handoffMessage.text
    table = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLTableNode")
    assert table.GetNumberOfRows() == 2
    units = table.GetTable().GetColumnByName("unit")
    assert units.GetValue(0) == "HU", "the folder of the series tells the unit, too"


def test_the_series_of_the_volume_is_found_among_others(
    host: Any, scene: Any, ui: Any, series: PatientSeries, tmp_path: Path
) -> None:
    write_patient_series(series.folder / "second", np.where(BALL, 60, -100), orientation="oblique")
    ui.handoffFolderButton.directory, ui.handoffSeriesButton.directory = str(tmp_path), str(series.folder)
    host.user.click(ui.handoffExportButton)
    [written] = tmp_path.glob("RTSTRUCT-*.dcm")
    frame = pydicom.dcmread(written).ReferencedFrameOfReferenceSequence[0]
    of_series = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    assert of_series.SeriesInstanceUID == series.headers[0].SeriesInstanceUID


def test_folders_are_the_users_to_choose(host: Any, scene: Any, ui: Any, tmp_path: Path) -> None:
    """Until then the buttons may show the current folder, which is neither read nor written to."""
    host.user.click(ui.handoffExportButton)
    assert "no folder was chosen" in ui.handoffMessage.text
    ui.handoffFolderButton.directory = str(tmp_path)
    before = list(tmp_path.iterdir())
    host.user.click(ui.handoffExportButton)
    assert "are not known" in ui.handoffMessage.text and list(tmp_path.iterdir()) == before


@pytest.mark.parametrize("known", [True, False], ids=["database", "folder"])
def test_nothing_is_written_among_the_slices(
    host: Any, scene: Any, ui: Any, widget: Any, database: Database, series: PatientSeries, known: bool
) -> None:
    if known:
        database.files = {
            str(header.SOPInstanceUID): str(series.folder / f"{n:03d}.dcm") for n, header in enumerate(series.headers)
        }
        widget.panel.refresh()
    else:
        ui.handoffSeriesButton.directory = str(series.folder)
    before = sorted(series.folder.iterdir())
    ui.handoffFolderButton.directory = str(series.folder)
    host.user.click(ui.handoffExportButton)
    assert "lies in the folder that is read" in ui.handoffMessage.text
    assert sorted(series.folder.iterdir()) == before


def test_the_folder_of_another_series_is_refused(host: Any, scene: Any, ui: Any, tmp_path: Path) -> None:
    other = write_patient_series(tmp_path / "other", np.where(BALL, 60, -100), orientation="oblique")
    out = tmp_path / "out"
    out.mkdir()
    ui.handoffFolderButton.directory, ui.handoffSeriesButton.directory = str(out), str(other.folder)
    host.user.click(ui.handoffExportButton)
    assert "another series" in ui.handoffMessage.text and list(out.iterdir()) == []


def test_without_highdicom_it_is_offered(
    host: Any, scene: Any, ui: Any, widget: Any, installed: dict[str, str]
) -> None:
    installed.pop("highdicom", None)
    widget.panel.refresh()
    assert ui.handoffInstallButton.visible and not ui.handoffSegCheckBox.enabled
    installed["highdicom"] = "0.28.2"
    widget.panel.refresh()
    assert not ui.handoffInstallButton.visible and ui.handoffSegCheckBox.enabled
