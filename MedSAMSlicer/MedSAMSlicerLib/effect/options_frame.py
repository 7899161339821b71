"""Widgets of the effect's options: shows an `OptionsState`, and writes what the user sets into the scene."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from ..scene.state.effect_parameters import EffectParameters
from .commands import Commands
from .option_choices import CUSTOM_WINDOW, Available, Choice, OptionChoices
from .options_state import KeyRow, OptionsState, ProgressBar, options_state
from .result_summary import StripCell

UI_FILE = Path(__file__).resolve().parents[2] / "Resources" / "UI" / "SegmentEditorEffect.ui"


class OptionsFrame:
    """Widgets of `SegmentEditorEffect.ui`.

    Attributes:
        progress: what is shown of a run or a slow preview.

    Args:
        parameters: returns the options; None if there is no scene for them.
        actions: the effect.
    """

    def __init__(self, parameters: Callable[[], EffectParameters | None], actions: Commands) -> None:
        self.widget = slicer.util.loadUI(str(UI_FILE))
        self.ui = ui = slicer.util.childWidgetVariables(self.widget)
        self._parameters = parameters
        self._keys: tuple[KeyRow, ...] = ()
        self._offered: str | None = None
        self._cells: tuple[StripCell, ...] = ()
        self._first_slice = 0
        self._levels: tuple[float, float] | None = None
        self._combos = {
            "Reach": ui.reachComboBox,
            "Mode": ui.modeComboBox,
            "Window": ui.windowComboBox,
            "Model": ui.modelComboBox,
            "Device": ui.deviceComboBox,
        }
        self._items: dict[str, tuple[tuple[str, str], ...]] = {}
        self._buttons = {
            "EncodeAhead": ui.encodeAheadCheckBox,
            "ApplyAtOnce": ui.applyAtOnceCheckBox,
            "ShowModelInput": ui.showInputButton,
        }
        self._prepare_tables()
        self._connect_options()
        for button, action in (
            (ui.runButton, actions.run),
            (ui.cancelButton, actions.cancel),
            (ui.setUpButton, actions.setUp),
            (ui.offerButton, lambda: actions.useModel(self._offered)),
            (ui.undoPromptButton, actions.undoPrompt),
            (ui.startFromSegmentButton, actions.startFromSegment),
            (ui.applyButton, actions.apply),
            (ui.discardButton, actions.discard),
            (ui.nextReviewButton, actions.goToNextReview),
            (ui.keepSliceButton, actions.keepSlice),
            (ui.framesButton, actions.contourAllFrames),
            (ui.fromHereButton, lambda: actions.setReachEnd("ReachStart")),
            (ui.toHereButton, lambda: actions.setReachEnd("ReachEnd")),
            (ui.roiRunButton, actions.runInROI),
            (ui.roiAroundButton, actions.putROIAroundSegment),
            (ui.goToKeyButton, actions.goToKey),
            (ui.correctKeyButton, actions.correctKey),
            (ui.removeKeyButton, actions.removeKey),
            (ui.copyDetailsButton, actions.copyDetails),
        ):
            button.connect("clicked()", action)
        ui.stripTable.connect(
            "cellClicked(int,int)", lambda _row, column: actions.goToSlice(self._first_slice + column)
        )
        self.show(options_state(None, None, Available()))

    @property
    def selected_key(self) -> int | None:
        """The key slice whose row is selected; None if there are no key slices."""
        row = self.ui.keysTable.currentRow()
        return self._keys[row].slice_index if 0 <= row < len(self._keys) else None

    def show(self, state: OptionsState) -> None:
        """Assign the values of the state to the widgets, without emitting signals of changed options."""
        ui = self.ui
        self.progress = state.progress
        _assign(ui.problemLabel, "text", state.problem)
        ui.problemFrame.visible = bool(state.problem)
        _show_text(ui.hintLabel, state.hint.text)
        ui.setUpButton.visible = state.hint.set_up
        _show_text(ui.offerLabel, state.offer.text)
        _assign(ui.offerButton, "text", state.offer.button)
        ui.offerButton.visible = bool(state.offer.text)
        self._offered = state.offer.model
        _show_text(ui.noteLabel, state.note)
        _assign(ui.planeLabel, "text", state.plane)
        # Room is short: where a rectangle would lie matters while nothing else is to be read.
        busy = state.progress is not None or state.result is not None
        ui.planeLabel.visible = bool(state.plane) and not (busy or state.problem or state.hint.text)
        for label, text in zip((ui.fromLabel, ui.toLabel), state.range_ends, strict=True):
            _assign(label, "text", text)
        _assign(ui.runButton, "text", state.run_text)
        ui.runButton.enabled, ui.undoPromptButton.enabled = state.can_run, state.can_undo_prompt
        ui.cancelButton.enabled = state.can_cancel
        ui.progressFrame.visible = state.progress is not None
        if state.progress is not None:
            _assign(ui.progressBar, "styleSheet", _bar_style(state.progress))
            _assign(ui.progressLabel, "text", state.progress.text)
        ui.resultFrame.visible = state.result is not None
        if state.result is not None:
            _assign(ui.resultLabel, "text", state.result.text)
            ui.resultLabel.visible = state.progress is None
            ui.nextReviewButton.enabled = state.result.can_go_to_review
            ui.applyButton.enabled = state.result.can_apply
            ui.keepSliceButton.enabled = state.result.can_apply
            ui.framesButton.visible, ui.framesButton.enabled = state.result.has_frames, state.result.can_contour_frames
            self._show_strip(state.result.summary.cells, state.result.summary.first_slice)
        self._show_keys(state.keys, state.keys_title)
        ui.clicksFrame.visible = state.clicks is not None
        if state.clicks is not None:
            _assign(ui.clicksLabel, "text", state.clicks.text)
            ui.startFromSegmentButton.visible = state.clicks.accepts_masks
        _assign(ui.windowInUseLabel, "text", state.window_in_use)
        ui.roiRunButton.enabled = state.can_run_in_roi
        ui.windowComboBox.enabled = ui.levelFrame.enabled = state.can_choose_window
        if state.choices is not None:
            self._show_choices(state.choices, state.window_levels)

    def _show_choices(self, choices: OptionChoices, window_levels: tuple[float, float] | None) -> None:
        ui = self.ui
        for name, choice in choices.combos.items():
            self._show_choice(name, choice)
        ui.rangeFrame.visible = choices.combos["Reach"].value == "range"
        ui.levelFrame.visible = choices.level_and_width is not None
        # Those of the window in use are what 'Level and width' begins with when it is chosen.
        levels = choices.level_and_width or window_levels
        if levels is not None and levels != self._levels:
            self._levels = levels
            _assign(ui.levelSpinBox, "value", levels[0])
            _assign(ui.widthSpinBox, "value", levels[1])
        for name, button in self._buttons.items():
            _assign(button, "checked", choices.checked[name])
        blocked = ui.roiSelector.blockSignals(True)
        ui.roiSelector.setCurrentNode(choices.roi)
        ui.roiSelector.blockSignals(blocked)

    def _show_choice(self, name: str, choice: Choice) -> None:
        combo: qt.QComboBox = self._combos[name]
        blocked = combo.blockSignals(True)
        if self._items.get(name) != choice.items:
            self._items[name] = choice.items
            combo.clear()
            for value, text in choice.items:
                combo.addItem(text, value)
        combo.currentIndex = combo.findData(choice.value)
        combo.blockSignals(blocked)

    def _show_keys(self, keys: tuple[KeyRow, ...], title: str) -> None:
        ui, selected = self.ui, self.selected_key
        _assign(ui.keysSection, "title", title)
        for button in (ui.goToKeyButton, ui.correctKeyButton, ui.removeKeyButton):
            button.enabled = bool(keys)
        if keys == self._keys:
            return
        self._keys = keys
        ui.keysTable.rowCount = len(keys)
        for row, key in enumerate(keys):
            for column, text in enumerate((str(key.slice_index), key.position, key.origin)):
                ui.keysTable.setItem(row, column, qt.QTableWidgetItem(text))
        if keys:
            indices = [key.slice_index for key in keys]
            ui.keysTable.selectRow(indices.index(selected) if selected in indices else len(indices) - 1)

    def _show_strip(self, cells: tuple[StripCell, ...], first_slice: int) -> None:
        added, self._first_slice = self._first_slice - first_slice, first_slice
        if cells == self._cells:
            return
        before: tuple[StripCell | None, ...] = self._cells
        self._cells = cells
        if 0 < added < len(cells):
            # A run goes in both directions: columns move, instead of each of their cells being made anew.
            for _column in range(added):
                self.ui.stripTable.insertColumn(0)
            before = (None,) * added + before
        self.ui.stripTable.columnCount = len(cells)
        for column, cell in enumerate(cells):
            if column < len(before) and cell == before[column]:
                continue  # during a run a few cells change ten times a second
            item = qt.QTableWidgetItem(cell.mark)
            item.setBackground(qt.QBrush(qt.QColor(*cell.color)))
            item.setForeground(qt.QBrush(qt.QColor(255, 255, 255)))
            item.setTextAlignment(qt.Qt.AlignCenter)
            item.setToolTip(cell.tooltip)
            self.ui.stripTable.setItem(0, column, item)

    def _prepare_tables(self) -> None:
        keys, strip = self.ui.keysTable, self.ui.stripTable
        keys.columnCount = 3
        keys.setHorizontalHeaderLabels([_("Slice"), _("Position"), _("Origin")])
        for column, mode in enumerate(
            (qt.QHeaderView.ResizeToContents, qt.QHeaderView.Stretch, qt.QHeaderView.Stretch)
        ):
            keys.horizontalHeader().setSectionResizeMode(column, mode)
        keys.verticalHeader().visible = False
        strip.rowCount = 1
        strip.horizontalHeader().visible = strip.verticalHeader().visible = False
        strip.horizontalHeader().minimumSectionSize = 1
        strip.horizontalHeader().setSectionResizeMode(qt.QHeaderView.Stretch)
        strip.verticalHeader().setSectionResizeMode(qt.QHeaderView.Stretch)

    def _connect_options(self) -> None:
        ui = self.ui
        for name, combo in self._combos.items():
            combo.connect("activated(int)", lambda index, name=name: self._chosen(name, index))
        for name, button in self._buttons.items():
            button.connect("clicked(bool)", lambda checked, name=name: self._set(name, "1" if checked else "0"))
        for box in (ui.levelSpinBox, ui.widthSpinBox):
            box.connect("valueChanged(double)", lambda _value: self._set_custom_window())
        self.widget.setMRMLScene(slicer.mrmlScene)
        ui.roiSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._roi_chosen)

    def _set(self, name: str, value: str) -> None:
        parameters = self._parameters()
        if parameters is not None:
            parameters.set(name, value)

    def _chosen(self, name: str, index: int) -> None:
        value = self._combos[name].itemData(index)
        if value == CUSTOM_WINDOW:
            self._set_custom_window()
        else:
            self._set(name, value)

    def _set_custom_window(self) -> None:
        self._set("Window", f"{self.ui.levelSpinBox.value!r},{self.ui.widthSpinBox.value!r}")

    def _roi_chosen(self, node: slicer.vtkMRMLNode | None) -> None:
        parameters = self._parameters()
        if parameters is not None:
            parameters.set_reference("ROI", node)


def _assign(widget: qt.QWidget, name: str, value: object) -> None:
    """Set a property if it differs, without emitting signals."""
    if getattr(widget, name) == value:
        return
    blocked = widget.blockSignals(True)
    setattr(widget, name, value)
    widget.blockSignals(blocked)


def _show_text(label: qt.QLabel, text: str) -> None:
    """Set the text; an empty label takes no space."""
    _assign(label, "text", text)
    label.visible = bool(text)


def _bar_style(progress: ProgressBar) -> str:
    """Style sheet of a label that is filled as far as a run has come.

    Not a QProgressBar: Qt's Fusion style animates one that is not full 30 times a second, and each time Qt puts the whole window
    together anew, with all views: runs took twice as long where Slicer draws in software.
    """
    share = progress.done / progress.total if progress.total else 0.0
    # Transparent, because a style sheet's gradient does not follow a change to a dark palette.
    done, rest = "palette(highlight)", "transparent"
    if share in (0.0, 1.0):
        fill = done if share else rest
    else:
        edge = f"stop:{share:.3f} {done}, stop:{min(1.0, share + 0.001):.3f} {rest}"
        fill = f"qlineargradient(x1:0, y1:0, x2:1, y2:0, stop:0 {done}, {edge}, stop:1 {rest})"
    return f"border: 1px solid palette(mid); background: {fill};"
