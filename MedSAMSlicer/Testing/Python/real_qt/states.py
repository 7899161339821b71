"""What is drawn: the effect's options and the panel in the situations that a user meets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import slicer
from PySide6 import QtWidgets

from MedSAMSlicerLib.effect.commands import Commands
from MedSAMSlicerLib.effect.option_choices import Available, option_choices
from MedSAMSlicerLib.effect.options_frame import OptionsFrame
from MedSAMSlicerLib.effect.options_state import (
    ClicksState,
    KeyRow,
    OptionsState,
    ProgressBar,
    ResultState,
    options_state,
)
from MedSAMSlicerLib.effect.result_summary import KEY_MARK, REVIEW_MARK, ResultSummary, StripCell, color_of
from MedSAMSlicerLib.effect.texts import help_text
from MedSAMSlicerLib.engine.models import weights
from MedSAMSlicerLib.panel import settings
from MedSAMSlicerLib.panel.panel import Panel
from MedSAMSlicerLib.panel.setup import packages
from MedSAMSlicerLib.panel.texts import show_error
from MedSAMSlicerLib.scene.state.effect_parameters import EffectParameters

_IN_PACKAGE = weights._in_installed_package
Drawn = tuple[QtWidgets.QWidget, Callable[[], None]]
"""A widget, and what refreshes it."""


class _NoActions(Commands):
    def _changed(self) -> None:
        pass


def effect(name: str, state: OptionsState) -> Drawn:
    """The options frame; its sections are open if the state is named so."""
    frame = OptionsFrame(lambda: None, _NoActions())
    if name.endswith("-open"):
        for section in (frame.ui.roiSection, frame.ui.keysSection, frame.ui.optionsSection):
            section.collapsed = False
    return frame.widget.real, lambda: frame.show(state)


def effect_states() -> dict[str, OptionsState]:
    """Name -> what the options frame shows."""
    node = slicer.mrmlScene.AddNode(slicer.vtkMRMLSegmentEditorNode())
    parameters = EffectParameters(node)
    parameters.set_defaults()
    available = Available(models=("litemedsam", "medsam"), devices=("cuda", "cpu"))
    choices = option_choices(parameters, available)
    nothing = options_state(None, parameters, Available())
    for option, value in (("Reach", "range"), ("Window", "-600.5,1500.5")):
        parameters.set(option, value)
    open_choices = option_choices(parameters, available)
    idle = OptionsState(
        plane="Axial slices of the volume, 5 mm apart.",
        run_text="Contour",
        keys_title="Key slices",
        window_in_use="In use: CT lung (level -600, width 1500)",
        choices=choices,
    )
    keys = (KeyRow(17, "S -275.0 mm", "drawn"), KeyRow(20, "S -260.0 mm", "clicked, 3 points"))
    running = replace(
        idle,
        progress=ProgressBar(3, 13, "Slice 3 of 13, 20 s left"),
        keys=keys[:1],
        keys_title="Key slices (1)",
    )
    result = replace(
        idle,
        run_text="Run again",
        can_run=True,
        keys=keys,
        keys_title="Key slices (2)",
        result=ResultState("Preview: 13 slices, 2 need review.", _summary(), can_apply=True),
    )
    again = replace(running, result=replace(result.result, can_apply=False), run_text="Run again")  # type: ignore[type-var]
    problem = replace(
        result,
        problem="⚠ inference failed unexpectedly (RuntimeError: out of memory): try again, and report it with the log if"
        " it comes back",
        note="Not applied yet: GTVn_left.",
        clicks=ClicksState("Slice 20: 3 points. Press Enter or 'Contour' to run.", True),
    )
    everything = replace(problem, problem="", choices=open_choices, range_ends=("14 (S -290.0 mm)", "26 (S -230.0 mm)"))
    states = {"nothing": nothing, "idle": idle, "running": running, "result": result, "again": again}
    return {f"effect-{name}": state for name, state in {**states, "problem": problem, "open": everything}.items()}


def _summary() -> ResultSummary:
    confidence = [0.35, 0.6, 0.8, 0.9, 0.95, 0.97, 0.99, 0.97, 0.94, 0.9, 0.85, 0.7, 0.3]
    marks = {0: REVIEW_MARK, 6: KEY_MARK, 12: REVIEW_MARK}
    cells = [StripCell(marks.get(n, ""), color_of(share), "") for n, share in enumerate(confidence)]
    return ResultSummary(14, tuple(cells), len(cells), 2)


def help_height(width: int) -> int:
    """Height of the help above the options, as Slicer shows it: the first sentence, and a link to the rest."""
    browser = QtWidgets.QTextBrowser()
    browser.setHtml(help_text().split("<br>")[0] + "&hellip; <a href='#more'>Show details.</a></html>")
    browser.document().setTextWidth(width - 2 * browser.frameWidth())
    return round(browser.document().size().height()) + 2 * browser.frameWidth()


def _first(ui: Any, panel: Panel) -> None:
    """Nothing is installed."""


def _ready(ui: Any, panel: Panel) -> None:
    """Everything is installed and checked."""
    settings.set_device("cuda", "torch")
    panel.check._on_line({"kind": "fastest", "device": "cuda", "runtime": "torch"})


def _failed(ui: Any, panel: Panel) -> None:
    """A download has failed and is asked for again; the check of the computer goes on."""
    panel.check._results = []
    panel.check._on_line({"kind": "started", "backends": [{"device": "cpu", "runtime": "torch"}] * 3})
    for runtime, seconds in (("torch", 33.9165), ("openvino", 0.7512)):
        line = {"device": "cpu", "runtime": runtime, "seconds": seconds, "agrees": True}
        panel.check._on_line({"kind": "result", **line})
    ui.checkProgressFrame.visible = True
    ui.modelsTable.selectRow(1)
    ui.getModelButton.click()
    show_error(
        ui.modelsMessage, "MedSAM (ViT-B) could not be downloaded (ConnectTimeout): check the network, then try again"
    )


VERSIONS = {
    "torch": "2.12.0+cu128",
    "torchvision": "0.27.0+cu128",
    "cachetools": "6.0.0",
    "platformdirs": "4.3.8",
    "pooch": "1.9.0",
    "segment-anything": "1.0",
}
PANEL_STATES: dict[str, Callable[[Any, Panel], None]] = {
    "panel-first": _first,
    "panel-ready": _ready,
    "panel-failed": _failed,
}
"""Name -> what happens in the panel."""


def panel(name: str) -> Drawn:
    """The module's panel, all of its sections open."""
    installed = name != "panel-first"
    packages.installed_version = VERSIONS.get if installed else lambda _name: None
    weights._in_installed_package = _IN_PACKAGE if installed else lambda _spec: None
    settings.set_device("auto", "auto")
    widget = slicer.util.loadUI(str(packages.RESOURCES / "UI" / "MedSAMSlicer.ui"))
    ui: Any = slicer.util.childWidgetVariables(widget)
    made = Panel(ui)
    widget.real.panel = made  # lives as long as its widgets

    def refresh() -> None:
        made.refresh()
        PANEL_STATES[name](ui, made)
        for section in (ui.packagesSection, ui.modelsSection, ui.checkSection, ui.storageSection):
            section.collapsed = False

    return widget.real, refresh
