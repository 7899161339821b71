"""The effect's options: shows how things stand, and writes what the user sets into the scene."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import qt
import slicer
from slicer.i18n import tr as _

from ..engine.errors import MedSAMError
from ..engine.intensity import CT_PRESETS
from ..scene.editing.contour_editor import ContourEditor
from ..scene.state.effect_parameters import EffectParameters, level_and_width
from ..scene.state.needs_review import doubtful_slices
from ..scene.volume.view_plane import ViewGeometry
from .confidence_strip import ConfidenceStrip
from .key_list import KeyList
from .model_options import ModelOptions
from .point_options import PointOptions
from .texts import (
    correction_text,
    plane_text,
    position_text,
    progress_text,
    refused_click_text,
    result_text,
    run_text,
    waiting_text,
)

UI_FILE = Path(__file__).resolve().parents[2] / "Resources" / "UI" / "SegmentEditorEffect.ui"
CUSTOM_WINDOW = "custom"


class Actions(Protocol):
    """What buttons do."""

    def run(self) -> None: ...
    def cancel(self) -> None: ...
    def apply(self) -> None: ...
    def discard(self) -> None: ...
    def nextDoubtful(self) -> None: ...
    def runInROI(self) -> None: ...
    def putROIAroundSegment(self) -> None: ...
    def setReachEnd(self, name: str) -> None: ...
    def undoClick(self) -> bool: ...
    def startFromSegment(self) -> None: ...
    def goToSlice(self, index: int) -> None: ...
    def goToKey(self) -> None: ...
    def correctKey(self) -> None: ...
    def removeKey(self) -> None: ...


class OptionsFrame:
    """Widgets of `SegmentEditorEffect.ui`.

    Args:
        parameters: gives the options, None while there is no scene for them.
        actions: the effect.
    """

    def __init__(self, parameters: Callable[[], EffectParameters | None], actions: Actions) -> None:
        self.widget = slicer.util.loadUI(str(UI_FILE))
        self.ui = ui = slicer.util.childWidgetVariables(self.widget)
        self._parameters = parameters
        self.keys = KeyList(ui)
        self.strip = ConfidenceStrip(ui.stripTable, actions.goToSlice)
        self.models = ModelOptions(ui, parameters)
        self.clicks = PointOptions(ui)
        _fill(ui.reachComboBox, (
            ("object", _("As far as the object goes")), ("slice", _("This slice only")), ("range", _("From slice to slice")),
        ))  # fmt: skip
        _fill(ui.modeComboBox, (
            ("add", _("Add to segment")), ("replace", _("Replace segment")), ("remove", _("Remove from segment")),
        ))  # fmt: skip
        _fill(ui.windowComboBox, (
            ("auto", _("Automatic")), ("display", _("As the volume is displayed")),
            *((name, _preset_text(name)) for name in CT_PRESETS), (CUSTOM_WINDOW, _("Level and width")),
        ))  # fmt: skip
        for combo, name in ((ui.reachComboBox, "Reach"), (ui.modeComboBox, "Mode")):
            combo.connect("activated(int)", lambda index, combo=combo, name=name: self.set(name, combo.itemData(index)))
        ui.windowComboBox.connect("activated(int)", self._window_chosen)
        for box in (ui.levelSpinBox, ui.widthSpinBox):
            box.connect("valueChanged(double)", self._level_or_width_set)
        for button, name in (
            (ui.encodeAheadCheckBox, "EncodeAhead"),
            (ui.applyAtOnceCheckBox, "ApplyAtOnce"),
            (ui.showInputButton, "ShowModelInput"),
        ):
            button.connect("clicked(bool)", lambda checked, name=name: self.set(name, "1" if checked else "0"))
        ui.runButton.connect("clicked()", actions.run)
        ui.cancelButton.connect("clicked()", actions.cancel)
        ui.undoClickButton.connect("clicked()", actions.undoClick)
        ui.startFromSegmentButton.connect("clicked()", actions.startFromSegment)
        ui.applyButton.connect("clicked()", actions.apply)
        ui.discardButton.connect("clicked()", actions.discard)
        ui.nextDoubtfulButton.connect("clicked()", actions.nextDoubtful)
        ui.fromHereButton.connect("clicked()", lambda: actions.setReachEnd("ReachStart"))
        ui.toHereButton.connect("clicked()", lambda: actions.setReachEnd("ReachEnd"))
        ui.roiRunButton.connect("clicked()", actions.runInROI)
        ui.roiAroundButton.connect("clicked()", actions.putROIAroundSegment)
        ui.goToKeyButton.connect("clicked()", actions.goToKey)
        ui.correctKeyButton.connect("clicked()", actions.correctKey)
        ui.removeKeyButton.connect("clicked()", actions.removeKey)
        self.widget.setMRMLScene(slicer.mrmlScene)
        ui.roiSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._roi_chosen)
        self.show(None, None, None)

    def set(self, name: str, value: str) -> None:
        """Set an option, as the user does by a widget."""
        parameters = self._parameters()
        if parameters is not None:
            parameters.set(name, value)

    def read_options(self) -> None:
        """Show the options as they stand in the scene. One that makes no sense shows as its default."""
        parameters, ui = self._parameters(), self.ui
        if parameters is None:
            return
        values = {name: _value(parameters, name) for name in ("Reach", "Mode", "Window")}
        custom = "," in values["Window"]
        for combo, value in (
            (ui.reachComboBox, values["Reach"]),
            (ui.modeComboBox, values["Mode"]),
            (ui.windowComboBox, CUSTOM_WINDOW if custom else values["Window"]),
        ):
            _quietly(combo, "currentIndex", max(combo.findData(value), 0))
        if custom:
            level, width = level_and_width(values["Window"])
            _quietly(ui.levelSpinBox, "value", level)
            _quietly(ui.widthSpinBox, "value", width)
        ui.levelFrame.visible = custom
        ui.rangeFrame.visible = values["Reach"] == "range"
        for button, name in (
            (ui.encodeAheadCheckBox, "EncodeAhead"),
            (ui.applyAtOnceCheckBox, "ApplyAtOnce"),
            (ui.showInputButton, "ShowModelInput"),
        ):
            _quietly(button, "checked", _value(parameters, name) == "1")
        roi, blocked = parameters.reference("ROI"), ui.roiSelector.blockSignals(True)
        ui.roiSelector.setCurrentNode(roi)
        ui.roiSelector.blockSignals(blocked)
        ui.roiRunButton.enabled = roi is not None
        self.models.read()

    def show(
        self,
        contouring: ContourEditor | None,
        view: ViewGeometry | None,
        problem: MedSAMError | None,
        waiting: Sequence[str] = (),
    ) -> None:
        """Show how things stand.

        Args:
            view: the slice view that the user works in.
            problem: why there is no contouring.
            waiting: names of other segments with a result that was not applied.
        """
        ui = self.ui
        gone = contouring is None or contouring.gone
        running = contouring is not None and not gone and contouring.running
        result = None if gone or contouring is None else contouring.result
        wrong = problem if contouring is None else contouring.problem or problem
        _text(ui.problemLabel, "" if wrong is None else f"⚠ {wrong}")
        notes = []
        if contouring is not None and not gone:
            notes = [refused_click_text(contouring), correction_text(contouring), *contouring.notes]
        _text(ui.noteLabel, " ".join(filter(None, [*notes, waiting_text(waiting)])))
        ui.runButton.text = run_text(contouring)
        ui.runButton.enabled = not gone and contouring is not None and contouring.prompts is not None and not running
        ui.cancelButton.enabled = running
        ui.progressFrame.visible = running
        if running and contouring is not None:
            self._show_progress(contouring)
        ui.resultFrame.visible = result is not None
        self.strip.show(result)
        if contouring is not None and result is not None:
            ui.resultLabel.text = result_text(contouring)
            ui.nextDoubtfulButton.enabled = bool(doubtful_slices(result))
            ui.applyButton.enabled = not running
        self.keys.show(contouring)
        self.clicks.show(contouring)
        if contouring is not None and not gone:
            self._show_place(contouring, view)
        self.models.show(contouring)

    def _show_progress(self, contouring: ContourEditor) -> None:
        progress, bar = contouring.progress, self.ui.progressBar
        total = None if progress is None else progress.total
        # Without an end in sight the bar only says that something goes on.
        bar.maximum = total or 0
        bar.value = 0 if progress is None or total is None else progress.done
        self.ui.progressLabel.text = progress_text(progress)

    def _show_place(self, contouring: ContourEditor, view: ViewGeometry | None) -> None:
        ui, parameters = self.ui, contouring.parameters
        try:
            if view is not None:
                plane = contouring.plane_in(view)
                stack = contouring.stack(plane)
                ui.planeLabel.text = plane_text(plane, stack)
                here = parameters.get("ReachPlane") == plane.text()
                for name, label in (("ReachStart", ui.fromLabel), ("ReachEnd", ui.toLabel)):
                    index = parameters.number(name)
                    known = here and 0 <= index < stack.shape[0]
                    label.text = f"{index} ({position_text(stack, index)})" if known else "–"
        except MedSAMError as error:
            ui.planeLabel.text = str(error)

    def _window_chosen(self, index: int) -> None:
        wanted = self.ui.windowComboBox.itemData(index)
        if wanted == CUSTOM_WINDOW:
            level, width = self.models.level_and_width
            _quietly(self.ui.levelSpinBox, "value", level)
            _quietly(self.ui.widthSpinBox, "value", width)
            self._level_or_width_set()
        else:
            self.set("Window", wanted)

    def _level_or_width_set(self, _value: float = 0.0) -> None:
        self.set("Window", f"{self.ui.levelSpinBox.value!r},{self.ui.widthSpinBox.value!r}")

    def _roi_chosen(self, node: slicer.vtkMRMLNode | None) -> None:
        parameters = self._parameters()
        if parameters is not None:
            parameters.set_reference("ROI", node)


def _fill(combo: qt.QComboBox, items: tuple[tuple[str, str], ...]) -> None:
    for value, text in items:
        combo.addItem(text, value)


def _preset_text(name: str) -> str:
    names = {
        "soft-tissue": _("Soft tissue"),
        "lung": _("Lung"),
        "mediastinum": _("Mediastinum"),
        "brain": _("Brain"),
        "bone": _("Bone"),
        "liver": _("Liver"),
    }
    level, width = CT_PRESETS[name]
    return _("CT {name} (level {level}, width {width})").format(
        name=names.get(name, name).lower(), level=f"{level:g}", width=f"{width:g}"
    )


def _value(parameters: EffectParameters, name: str) -> str:
    from ..scene.state.effect_parameters import DEFAULTS

    try:
        return parameters.get(name)
    except MedSAMError:
        return DEFAULTS[name]


def _quietly(widget: qt.QWidget, name: str, value: object) -> None:
    """Set a property without telling that it was set."""
    if getattr(widget, name) == value:
        return
    blocked = widget.blockSignals(True)
    setattr(widget, name, value)
    widget.blockSignals(blocked)


def _text(label: qt.QLabel, text: str) -> None:
    """An empty label takes no room."""
    if label.text != text:
        label.text = text
    label.visible = bool(text)
