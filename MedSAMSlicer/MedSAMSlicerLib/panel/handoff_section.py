"""Section 'Hand-off': segments as DICOM files for planning systems, margins, measurements."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _

from ..engine.diagnostics.log import get_logger, log_error
from ..engine.errors import InputError, MedSAMError, as_user_error
from ..handoff.roi_names import mended, suggestions, warning
from ..handoff.segments import KINDS, Review, review_date
from ..io.output_files import check_output
from . import handoff_nodes as nodes
from .handoff_margin import MarginRow
from .setup import packages
from .tables import fill_table, prepare_table
from .texts import show_error, show_message

_log = get_logger(__name__)


class HandoffSection:
    """Table of segments with names, types, margins and reviews; export, margin and measurement.

    Args:
        ui: widgets of the panel by object name.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._margin = MarginRow(ui)
        self._entries: list[nodes.SegmentEntry] = []
        self._csv = ""
        self._showing = False
        self._files_known = False
        # A folder button shows the current folder until the user has chosen one.
        self._folder = self._series_folder = ""
        self._observed: tuple[Any, list[int]] | None = None
        for selector in (ui.handoffSegmentationSelector, ui.handoffVolumeSelector):
            selector.setMRMLScene(slicer.mrmlScene)
            selector.connect("currentNodeChanged(vtkMRMLNode*)", self._node_changed)
        prepare_table(ui.handoffTable, [_("Name in DICOM"), _("Type"), _("Margin"), _("Reviewed")])
        ui.handoffTable.connect("itemSelectionChanged()", self._show_selected)
        ui.handoffTypeComboBox.addItems(list(KINDS))
        ui.handoffNameEdit.connect("textChanged(QString)", self._name_changed)
        ui.handoffTypeComboBox.connect("currentIndexChanged(int)", self._choice_changed)
        ui.handoffReviewedCheckBox.connect("toggled(bool)", self._choice_changed)
        ui.handoffReviewedByEdit.connect("editingFinished()", self._choice_changed)
        ui.handoffReviewedOnEdit.connect("editingFinished()", self._choice_changed)
        ui.handoffMendButton.connect("clicked()", self._mend)
        ui.handoffMarginButton.connect("clicked()", self._add_margin)
        ui.handoffExportButton.connect("clicked()", self._export)
        ui.handoffMeasureButton.connect("clicked()", self._measure)
        ui.handoffCopyButton.connect("clicked()", self._copy)
        ui.handoffSegCheckBox.connect("toggled(bool)", self._outputs_changed)
        ui.handoffFolderButton.connect("directoryChanged(QString)", self._folder_chosen)
        ui.handoffSeriesButton.connect("directoryChanged(QString)", self._series_folder_chosen)
        ui.handoffInstallButton.connect("clicked()", self._install)
        show_message(ui.handoffMessage, "")
        self.refresh()

    def refresh(self) -> None:
        """Show the segments as they are now, and whether the volume's DICOM files are known."""
        self._show_series()
        self._show_segments()

    def _show_segments(self) -> None:
        ui = self._ui
        segmentation_node = ui.handoffSegmentationSelector.currentNode()
        self._observe(segmentation_node)
        self._entries = nodes.entries(segmentation_node)
        fill_table(
            ui.handoffTable,
            [_row(one) for one in self._entries],
            [_tooltip(one) for one in self._entries],
        )
        self._margin.show(self._entries)
        if self._entries and not 0 <= ui.handoffTable.currentRow() < len(self._entries):
            ui.handoffTable.selectRow(0)
        self._outputs_changed()
        self._show_selected()

    def close(self) -> None:
        """Observe the segmentation no longer."""
        self._observe(None)

    def _observe(self, segmentation_node: Any) -> None:
        """Follow segments that are added, removed or renamed."""
        segmentation = None if segmentation_node is None else segmentation_node.GetSegmentation()
        if self._observed is not None and self._observed[0] is segmentation:
            return
        if self._observed is not None:
            for tag in self._observed[1]:
                self._observed[0].RemoveObserver(tag)
        self._observed = None
        if segmentation is not None:
            events = (
                slicer.vtkSegmentation.SegmentAdded,
                slicer.vtkSegmentation.SegmentRemoved,
                slicer.vtkSegmentation.SegmentModified,
            )
            self._observed = (
                segmentation,
                [segmentation.AddObserver(event, self._segments_changed) for event in events],
            )

    @vtk.calldata_type(vtk.VTK_STRING)
    def _segments_changed(self, _segmentation: Any, _event: str, _segment_id: str = "") -> None:
        if not self._showing:
            self._show_segments()

    def _node_changed(self, _node: Any = None) -> None:
        self.refresh()

    def _selected(self) -> nodes.SegmentEntry | None:
        row = self._ui.handoffTable.currentRow()
        return self._entries[row] if 0 <= row < len(self._entries) else None

    def _show_selected(self) -> None:
        ui, entry = self._ui, self._selected()
        self._showing = True
        ui.handoffSegmentFrame.visible = entry is not None
        ui.handoffNameEdit.text = "" if entry is None else entry.name
        ui.handoffTypeComboBox.currentIndex = 0 if entry is None else KINDS.index(entry.kind)
        self._show_review(entry)
        self._showing = False
        self._show_name()

    def _show_review(self, entry: nodes.SegmentEntry | None) -> None:
        ui, review = self._ui, Review() if entry is None else entry.review
        needed, seen = (0, 0) if entry is None else (len(entry.to_review.needed), len(entry.to_review.seen))
        text = _("Reviewed ({seen} of {needed} slices that need it)").format(seen=seen, needed=needed)
        ui.handoffReviewedCheckBox.text = text if needed else _("Reviewed")
        ui.handoffReviewedCheckBox.checked = review.reviewed
        ui.handoffReviewFrame.visible = review.reviewed
        ui.handoffReviewedByEdit.text, ui.handoffReviewedOnEdit.text = review.by, review.on

    def _show_name(self) -> None:
        ui, name = self._ui, str(self._ui.handoffNameEdit.text)
        text, better = warning(name) if name else "", mended(name)
        ideas = [one for one in suggestions(name) if one != name] if name else []
        if not text and ideas:
            text = _("Names of TG-263: {names}").format(names=", ".join(ideas))
        show_message(ui.handoffNameHint, text)
        ui.handoffMendButton.text = _("Use {name}").format(name=better)
        ui.handoffMendButton.visible = bool(name) and better != name

    def _name_changed(self, _text: str = "") -> None:
        self._choice_changed()
        if not self._showing:
            self._show_name()

    def _choice_changed(self, _value: object = None) -> None:
        if self._showing:
            return
        try:
            self._keep()
        except InputError as error:
            show_error(self._ui.handoffMessage, str(error))

    def _keep(self) -> None:
        """Keep the choice for the selected segment, and show it in the table.

        Raises:
            InputError: the date of the review is none; the one before is kept, and everything else.
        """
        ui, entry = self._ui, self._selected()
        if entry is None:
            return
        reviewed_on, problem = str(ui.handoffReviewedOnEdit.text), None
        if reviewed_on != entry.review.on:
            try:
                reviewed_on = review_date(reviewed_on)
            except InputError as error:
                reviewed_on, problem = entry.review.on, error
        self._showing = True
        try:
            nodes.keep_choice(
                ui.handoffSegmentationSelector.currentNode(),
                entry.segment_id,
                name=str(ui.handoffNameEdit.text),
                kind=KINDS[ui.handoffTypeComboBox.currentIndex],
                review=Review.stored(
                    bool(ui.handoffReviewedCheckBox.checked),
                    str(ui.handoffReviewedByEdit.text),
                    reviewed_on,
                ),
            )
            self._entries = nodes.entries(ui.handoffSegmentationSelector.currentNode())
            kept = self._entries[ui.handoffTable.currentRow()]
            for column, text in enumerate(_row(kept)):
                item = ui.handoffTable.item(ui.handoffTable.currentRow(), column)
                item.setText(text)
                item.setToolTip(_tooltip(kept))
            self._show_review(kept)
        finally:
            self._showing = False
        if problem is not None:
            raise problem

    def _mend(self) -> None:
        self._ui.handoffNameEdit.text = mended(str(self._ui.handoffNameEdit.text))

    def _show_series(self) -> None:
        ui = self._ui
        volume_node = ui.handoffVolumeSelector.currentNode()
        files = nodes.series_files(volume_node) if volume_node is not None else []
        self._files_known = bool(files)
        ui.handoffSeriesFrame.visible = volume_node is not None and not files
        text = _("Series: {count} slices in Slicer's DICOM database.").format(count=len(files)) if files else ""
        show_message(ui.handoffSeriesLabel, text)

    def _outputs_changed(self, _checked: bool = False) -> None:
        ui, installed = self._ui, packages.dicom_packages_complete()
        ui.handoffSegCheckBox.enabled = installed
        ui.handoffReportCheckBox.enabled = installed and bool(ui.handoffSegCheckBox.checked)
        ui.handoffInstallButton.visible = not installed
        ready = bool(self._entries) and ui.handoffVolumeSelector.currentNode() is not None
        for button in (ui.handoffExportButton, ui.handoffMeasureButton, ui.handoffMarginButton):
            button.enabled = ready
        ui.handoffCopyButton.enabled = bool(self._csv)

    def _folder_chosen(self, folder: str) -> None:
        self._folder = str(folder)

    def _series_folder_chosen(self, folder: str) -> None:
        self._series_folder = str(folder)

    def _export(self) -> None:
        self._run(self._write_files)

    def _write_files(self) -> str:
        ui = self._ui
        self._keep()  # on a Mac, a click on a button does not end the editing of a line
        if not self._folder:
            raise InputError(_("no folder was chosen for the files: choose one"))
        folder = Path(self._folder)
        stamp = time.strftime("%Y%m%d-%H%M%S")
        seg = bool(ui.handoffSegCheckBox.checked and ui.handoffSegCheckBox.enabled)
        wanted = {
            "rtstruct": bool(ui.handoffRtstructCheckBox.checked),
            "seg": seg,
            "report": bool(seg and ui.handoffReportCheckBox.checked),
        }
        paths = {kind: folder / f"{kind.upper()}-{stamp}.dcm" for kind, checked in wanted.items() if checked}
        if not paths:
            raise InputError(_("no output is chosen: check RT structure set, segmentation or report"))
        segmentation_node, volume_node = self._nodes()
        series_folder = "" if self._files_known else self._series_folder
        # No file is written among the slices, which may be read as one folder later.
        read = {file.parent for file in nodes.series_files(volume_node)}
        if series_folder:
            read.add(Path(series_folder))
        for path in paths.values():
            check_output(path, read, (".dcm",))
        from . import handoff_work

        notes = handoff_work.write_files(segmentation_node, self._entries, volume_node, series_folder, paths)
        names = ", ".join(path.name for path in paths.values())
        text = _("{files} written to {folder}.").format(files=names, folder=folder)
        return " ".join([text, *notes])

    def _add_margin(self) -> None:
        self._run(self._grow)

    def _grow(self) -> str:
        text = self._margin.add(*self._nodes(), self._selected())
        self.refresh()
        return text

    def _measure(self) -> None:
        self._run(self._fill_measurements)

    def _fill_measurements(self) -> str:
        segmentation_node, volume_node = self._nodes()
        from . import handoff_work

        measured, notes = handoff_work.measure_segments(
            segmentation_node, self._entries, volume_node, "" if self._files_known else self._series_folder
        )
        table_node, self._csv = handoff_work.add_table(measured)
        self._outputs_changed()
        summary = "; ".join(f"{one.name}: {one.volume_ml:.3g} ml, {one.longest_mm:.1f} mm" for one in measured)
        text = _("{summary}. Table {table} added to the scene.").format(summary=summary, table=table_node.GetName())
        return " ".join([text, *notes])

    def _copy(self) -> None:
        qt.QApplication.clipboard().setText(self._csv)
        show_message(self._ui.handoffMessage, _("Measurements copied as CSV."))

    def _nodes(self) -> tuple[Any, Any]:
        ui = self._ui
        segmentation_node = ui.handoffSegmentationSelector.currentNode()
        volume_node = ui.handoffVolumeSelector.currentNode()
        if segmentation_node is None or volume_node is None:
            raise InputError(_("choose a segmentation and the volume that it was drawn on"))
        return segmentation_node, volume_node

    def _install(self) -> None:
        self._run(self._install_highdicom)

    def _install_highdicom(self) -> str:
        packages.install_for_dicom()
        self._outputs_changed()
        return _("The packages for DICOM SEG are installed.")

    def _run(self, action: Callable[[], str]) -> None:
        """Do something with a wait cursor, and say how it went."""
        ui = self._ui
        show_message(ui.handoffMessage, "")
        qt.QApplication.setOverrideCursor(qt.QCursor(qt.Qt.WaitCursor))
        try:
            show_message(ui.handoffMessage, action())
        except (MedSAMError, ImportError) as error:
            failure = as_user_error(error)
            log_error(_log, failure, "hand-off failed")
            show_error(ui.handoffMessage, str(failure))
        finally:
            qt.QApplication.restoreOverrideCursor()


def _tooltip(entry: nodes.SegmentEntry) -> str:
    """What a row of the table tells besides: the segment's own name, and what is wrong with that for DICOM."""
    text = _("Segment {name}").format(name=entry.segment_name)
    return f"{text}\n{warning(entry.name)}" if warning(entry.name) else text


def _row(entry: nodes.SegmentEntry) -> list[str]:
    """Texts of a segment in the table."""
    name = f"\N{WARNING SIGN} {entry.name}" if warning(entry.name) else entry.name
    return [name, entry.kind, entry.margin, _("yes") if entry.review.reviewed else _("no")]
