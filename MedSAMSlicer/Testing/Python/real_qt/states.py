"""What is drawn: the effect's options and the panel in the situations that a user meets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import slicer
from PySide6 import QtWidgets

from MedSAMSlicerLib.effect.commands import Commands
from MedSAMSlicerLib.effect.option_choices import Available
from MedSAMSlicerLib.effect.options_frame import OptionsFrame
from MedSAMSlicerLib.effect.options_state import ClicksState, OptionsState, options_state
from MedSAMSlicerLib.effect.texts import help_text
from MedSAMSlicerLib.engine.environment import DEFAULT_MODEL
from MedSAMSlicerLib.engine.errors import as_user_error
from MedSAMSlicerLib.engine.models import weights
from MedSAMSlicerLib.engine.review import SlicesToReview
from MedSAMSlicerLib.panel import settings
from MedSAMSlicerLib.panel.panel import Panel
from MedSAMSlicerLib.panel.setup import packages
from MedSAMSlicerLib.panel.texts import show_error
from MedSAMSlicerLib.scene.state.slice_range import set_slice_range_end
from MedSAMSlicerLib.scene.volume.view_plane import Plane
from MedSAMSlicerLib.scene.writing.segment_tags import tag_review
from support.contour_editor_fixture import ContourEditorFixture
from support.effect_services import NeedsReviewService
from support.in_process_client import InProcessClient
from support.scene_builder import SceneBuilder, new_scene

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
    """Name -> what the options frame shows, in the order in which a user meets it."""
    fixture = ContourEditorFixture(SceneBuilder(new_scene()), InProcessClient(NeedsReviewService()))
    editor, parameters, view = fixture.contouring, fixture.parameters, fixture.view(7)
    fixture.node.SetAndObserveSourceVolumeNode(fixture.volume)
    fixture.node.SetAndObserveSegmentationNode(fixture.segmentation)
    fixture.node.SetSelectedSegmentID("tumour")
    fixture.segmentation.CreateDefaultDisplayNodes()
    available = Available(models=(DEFAULT_MODEL, "medsam"), devices=("cuda", "cpu"))

    def shown(**more: Any) -> OptionsState:
        return options_state(editor, parameters, available, view, **more)

    states = {"nothing": options_state(None, parameters, Available()), "idle": shown()}
    for end, index in (("ReachStart", 2), ("ReachEnd", 12)):
        set_slice_range_end(parameters, end, index, Plane("K"))  # type: ignore[arg-type]
    fixture.draw(view, wait=False)
    fixture.wait(lambda: editor.progress is not None and editor.progress.done > 3)
    states["running"] = shown()
    fixture.wait()
    editor.state.notes = []  # of the service, about itself
    states["result"] = shown()
    fixture.draw(fixture.view(9), add=True, wait=False)
    states["again"] = shown()
    fixture.wait()
    editor.state.notes = []
    editor.state.problem = as_user_error(RuntimeError("the operation failed"))
    clicks = ClicksState("Slice 7 (S 21.0 mm): 3 points. Press Enter or 'Contour' to run.", True)
    states["problem"] = replace(shown(waiting=["GTVn_left"]), clicks=clicks)
    editor.state.problem = None
    parameters.set("Window", "-600.5,1500.5")
    states["open"] = replace(shown(), clicks=clicks)
    return {f"effect-{name}": state for name, state in states.items()}


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
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "5: Chest 2.0 B40s")
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Segmentation")
    for name in ("Tumour left lobe", "Lung_L", "PTV_6000"):
        segmentation.GetSegmentation().AddEmptySegment("", name)
    tag_review(segmentation.GetSegmentation().GetNthSegment(0), SlicesToReview(frozenset("abc"), frozenset("abc")))
    ui.handoffSegmentationSelector.setCurrentNode(segmentation)
    ui.handoffVolumeSelector.setCurrentNode(volume)
    panel.handoff.refresh()


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
    "contourpy": "1.3.3",
    "highdicom": "0.28.2",
    "openvino": "2026.4.1",
    "platformdirs": "4.3.8",
    "pooch": "1.9.0",
    "safetensors": "0.8.0",
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
        sections = (ui.packagesSection, ui.modelsSection, ui.checkSection, ui.handoffSection, ui.storageSection)
        for section in sections:
            section.collapsed = False

    return widget.real, refresh
