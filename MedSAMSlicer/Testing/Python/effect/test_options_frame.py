"""The options frame: what the user sets is in the scene, what is in the scene is shown."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer

from effect.conftest import EffectFixture
from MedSAMSlicerLib.effect.result_summary import summary_of
from MedSAMSlicerLib.engine.results import SliceResult, StackResult


def parameter(effect_fixture: Any, name: str) -> str:
    return effect_fixture.host.editor.mrmlSegmentEditorNode().GetAttribute(f"MedSAM.{name}")


def test_every_option_has_its_default_in_the_scene(effect_fixture: Any) -> None:
    from MedSAMSlicerLib.scene.state.effect_parameters import DEFAULTS

    effect_fixture.effect.scriptedEffect.setParameter("Window", "auto")
    assert {name: parameter(effect_fixture, name) for name in DEFAULTS} == DEFAULTS


def test_what_the_user_chooses_is_in_the_scene(effect_fixture: Any) -> None:
    user, ui = effect_fixture.host.user, effect_fixture.ui
    user.choose(ui.reachComboBox, "This slice only")
    user.choose(ui.modeComboBox, "Replace segment")
    user.choose(ui.windowComboBox, "As the volume is displayed")
    user.click(ui.applyAtOnceCheckBox)
    user.click(ui.encodeAheadCheckBox)
    found = [parameter(effect_fixture, name) for name in ("Reach", "Mode", "Window", "ApplyAtOnce", "EncodeAhead")]
    assert found == ["slice", "replace", "display", "1", "0"]
    assert not ui.levelFrame.visible
    effect_fixture.effect.scriptedEffect.setParameter("Window", "100,50")
    effect_fixture.host.wait_until(lambda: "level 100, width 50" in ui.windowInUseLabel.text)
    user.choose(ui.windowComboBox, "Level and width")
    assert ui.levelFrame.visible
    assert (ui.levelSpinBox.value, ui.widthSpinBox.value) == (100, 50)
    ui.levelSpinBox.value, ui.widthSpinBox.value = 35.5, 300
    assert parameter(effect_fixture, "Window") == "35.5,300.0"


def test_what_a_script_sets_is_shown(effect_fixture: Any) -> None:
    effect, ui = effect_fixture.effect.scriptedEffect, effect_fixture.ui
    effect.setParameter("Reach", "range")
    effect.setParameter("Window", "-600,1500")
    effect.setParameter("Mode", "remove")
    effect.setParameter("ApplyAtOnce", "1")
    assert ui.reachComboBox.currentText == "Range of slices" and ui.rangeFrame.visible
    assert (ui.levelSpinBox.value, ui.widthSpinBox.value) == (-600, 1500)
    assert ui.modeComboBox.currentText == "Remove from segment"
    assert ui.applyAtOnceCheckBox.checked


def test_an_option_that_makes_no_sense_is_told_when_it_matters(effect_fixture: Any) -> None:
    effect_fixture.effect.scriptedEffect.setParameter("Reach", "everywhere")
    assert effect_fixture.ui.reachComboBox.currentIndex == 0
    effect_fixture.drag()
    assert "Reach is 'everywhere'" in effect_fixture.ui.problemLabel.text
    assert effect_fixture.contouring.result is None


def test_the_range_is_taken_from_the_slice_in_view(effect_fixture: Any) -> None:
    user, ui = effect_fixture.host.user, effect_fixture.ui
    user.choose(ui.reachComboBox, "Range of slices")
    node = user.view("Red").mrmlSliceNode()
    middle = node.GetSliceOffset()
    for offset, button in ((-4, ui.fromHereButton), (6, ui.toHereButton)):
        node.SetSliceOffset(middle + offset)
        user.click(button)
    assert (parameter(effect_fixture, "ReachStart"), parameter(effect_fixture, "ReachEnd")) == ("8", "13")
    assert ui.fromLabel.text.startswith("8 (S ")
    node.SetSliceOffset(middle)
    effect_fixture.drag()
    assert effect_fixture.result().any(axis=(1, 2)).nonzero()[0].tolist() == [8, 9, 10, 11, 12, 13]


def test_devices_are_asked_of_a_process_once_when_the_effect_is_first_activated(
    host: Any, repository: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from MedSAMSlicerLib.effect import availability

    # What stands in for the engine's module leaves a line for each time that it was asked.
    asked = tmp_path / "asked"
    (tmp_path / "made_up_list.py").write_text(
        "import sys\n"
        "from MedSAMSlicerLib.engine.jobs.job import run_job\n"
        f"open({str(asked)!r}, 'a').write('x')\n"
        "sys.exit(run_job(lambda say: say('devices', devices=['mps', 'cpu']), attached=True))\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(availability, "MODULE", "made_up_list")
    effect_fixture = EffectFixture(host, repository, known_devices=False)
    combo = effect_fixture.ui.deviceComboBox
    effect_fixture.effect.scriptedEffect.setParameter("Device", "cuda")
    assert [combo.itemText(n) for n in range(combo.count)] == ["Automatic", "CPU", "CUDA"]
    effect_fixture.host.wait_until(lambda: effect_fixture.effect._available.current.devices, 60)
    texts = ["Automatic", "MPS", "CPU", "CUDA (not on this computer)"]
    assert [combo.itemText(n) for n in range(combo.count)] == texts
    assert combo.currentText == "CUDA (not on this computer)"
    effect_fixture.host.user.choose(combo, "CPU")
    assert [combo.itemText(n) for n in range(combo.count)] == texts[:3]
    effect_fixture.host.editor.setActiveEffect(None)
    effect_fixture.host.editor.setActiveEffectByName("MedSAM")
    effect_fixture.host.clock.advance(300)
    assert asked.read_text() == "x"


def test_devices_are_asked_for_again_once_there_are_packages(
    host: Any, repository: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from MedSAMSlicerLib.effect import availability

    monkeypatch.setattr(availability, "MODULE", "MedSAMSlicerLib.not_installed")
    effect_fixture = EffectFixture(host, repository, known_devices=False)
    available = effect_fixture.effect._available
    host.wait_until(lambda: not available._task.running, seconds=60)
    assert available.current.devices == ()
    monkeypatch.setattr(availability, "MODULE", "MedSAMSlicerLib.engine.jobs.device_check")
    host.editor.setActiveEffect(None)
    host.editor.setActiveEffectByName("MedSAM")
    host.wait_until(lambda: available.current.devices, seconds=60)
    assert "cpu" in available.current.devices


def test_automatic_runs_on_what_the_check_of_this_computer_chose(effect_fixture: Any) -> None:
    from MedSAMSlicerLib.panel import settings

    def check_computer(runtime: str) -> None:
        """As the panel does it, which is another module: the effect is left and chosen again."""
        effect_fixture.host.editor.setActiveEffect(None)
        settings.set_device("cpu", runtime)
        effect_fixture.host.editor.setActiveEffectByName("MedSAM")

    choices: list[Any] = []
    segment = effect_fixture.effect._controller.client.segment
    effect_fixture.effect._controller.client.segment = lambda choice, *rest: (
        choices.append(choice),
        segment(choice, *rest),
    )[1]
    assert effect_fixture.ui.deviceComboBox.currentText == "Automatic"
    effect_fixture.drag()
    check_computer("torch")
    assert effect_fixture.ui.deviceComboBox.currentText == "Automatic (CPU, PyTorch)"
    effect_fixture.drag()
    check_computer("openvino")
    effect_fixture.drag(half=0.9)
    installed = "openvino" if importlib.util.find_spec("openvino") else "auto"
    assert [(choice.device, choice.runtime) for choice in choices] == [
        ("auto", "auto"),
        ("cpu", "torch"),
        ("cpu", installed),
    ]
    assert parameter(effect_fixture, "Device") == "auto"


def test_the_roi_is_chosen_made_and_used(effect_fixture: Any) -> None:
    user, ui = effect_fixture.host.user, effect_fixture.ui
    assert not ui.roiRunButton.enabled
    user.click(ui.roiAroundButton)
    assert "is empty" in ui.problemLabel.text
    effect_fixture.drag()
    effect_fixture.effect.apply()
    user.click(ui.roiAroundButton)
    roi = ui.roiSelector.currentNode()
    assert roi is not None and roi.GetName() == "tumour ROI"
    assert effect_fixture.host.editor.mrmlSegmentEditorNode().GetNodeReference("MedSAM.ROI") is roi
    bounds = [0.0] * 6
    roi.GetRASBounds(bounds)
    # 27 voxels of 1 mm and two more on each side
    assert bounds[1] - bounds[0] == 31
    user.click(ui.roiRunButton)
    effect_fixture.finish()
    assert (effect_fixture.result() == effect_fixture.truth).all()
    assert ui.keysTable.item(0, 2).text() == "from ROI"
    slicer.mrmlScene.RemoveNode(roi)
    assert ui.roiSelector.currentNode() is None


def test_texts_and_tooltips_are_there(effect_fixture: Any) -> None:
    ui = effect_fixture.ui
    for button in (ui.runButton, ui.cancelButton, ui.applyButton, ui.discardButton, ui.nextReviewButton):
        assert button.text and button.toolTip
    assert "not a medical device" in effect_fixture.effect.helpText()
    assert not effect_fixture.effect.icon().isNull()


def test_whatever_can_be_clicked_or_opened_has_a_tooltip(repository: Any) -> None:
    from xml.etree import ElementTree

    file = repository / "MedSAMSlicer" / "Resources" / "UI" / "SegmentEditorEffect.ui"
    kinds = ("Button", "ComboBox", "CheckBox", "SpinBox", "GroupBox", "Selector")
    root = ElementTree.parse(file).getroot()  # noqa: S314 - the project's own file
    found = [widget for widget in root.iter("widget") if widget.get("class", "").endswith(kinds)]
    assert len(found) > 20
    assert [w.get("name") for w in found if not w.findtext("property[@name='toolTip']/string")] == []


def test_the_effect_imports_little(repository: Path) -> None:
    """When Slicer starts, in a process of its own: no torch, and few modules besides those that Slicer has loaded."""
    code = (
        "import sys; sys.path[:0] = ['MedSAMSlicer/Testing/Python']\n"
        "from host.application import replaced_modules; import slicer, slicer.util, numpy, vtk\n"
        "from vtk.util import numpy_support\n"
        "sys.modules.update(replaced_modules()); slicer.__getattr__ = sys.modules['qt'].__getattr__\n"
        "before = set(sys.modules); import MedSAMSlicerLib.SegmentEditorEffect\n"
        "print(*(set(sys.modules) - before))"
    )
    environment = {"PYTHONPATH": "MedSAMSlicer", "PATH": os.defpath}
    finished = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, env=environment, capture_output=True, text=True, check=True
    )
    imported = finished.stdout.split()
    assert "MedSAMSlicerLib.SegmentEditorEffect" in imported
    assert {"torch", "torchvision", "cachetools", "scipy", "SimpleITK", "platformdirs"}.isdisjoint(imported)
    assert sum(not name.startswith("MedSAMSlicerLib") for name in imported) < 20


@pytest.fixture
def german(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], str]:
    """Translations of the application: context and text -> what the user reads."""
    from MedSAMSlicerLib.panel import translation

    known: dict[tuple[str, str], str] = {}
    monkeypatch.setattr(translation, "translate", lambda context, text: known.get((context, text), text))
    return known


def test_errors_from_below_the_effect_come_in_the_users_language(
    effect_fixture: Any, german: dict[tuple[str, str], str]
) -> None:
    german["editing.rectangle_tool", "the rectangle starts outside of the volume: start it on the image"] = (
        "bitte im Bild beginnen"
    )
    effect_fixture.zoom_out("Red")
    assert not effect_fixture.host.user.press("Red", (1, 1))
    assert effect_fixture.ui.problemLabel.text == "⚠ bitte im Bild beginnen"


def test_errors_of_the_inference_process_are_english(effect_fixture: Any, german: dict[tuple[str, str], str]) -> None:
    text = "inference failed unexpectedly ({kind}: {error}): try again, or report it with the log"
    german["engine.errors", text] = "Fehler {kind} bei der Inferenz: {error}"
    effect_fixture.serve("RaisingService")
    effect_fixture.signal_on(10)
    effect_fixture.drag()
    assert effect_fixture.ui.problemLabel.text.startswith("⚠ inference failed unexpectedly (ValueError: operands")


def test_before_the_mouse_was_in_a_view_the_red_one_counts(effect_fixture: Any) -> None:
    assert effect_fixture.ui.planeLabel.text.startswith("Axial slices")


def test_the_strip_grows_on_both_sides_without_being_made_anew(effect_fixture: Any) -> None:
    table, frame = effect_fixture.ui.stripTable, effect_fixture.effect._frame
    items: list[Any] = []
    result = StackResult((20, 4, 4))

    def shown() -> list[str]:
        return [table.item(0, column).toolTip() for column in range(table.columnCount)]

    for index in (10, 11, 9, 8, 12, 6):
        result.add(SliceResult(index, np.ones((4, 4), bool), None, 0.9, 0.9, needs_review=False))
        summary = summary_of(result, str)
        frame._show_strip(summary.cells, summary.first_slice)
        assert shown() == [cell.tooltip for cell in summary.cells]
        items += [item for column in range(table.columnCount) if (item := table.item(0, column)) not in items]
    # One for each slice from 6 to 12; slice 7 has none before its neighbour.
    assert len(items) == 7
    for first, last in ((2, 4), (3, 6), (1, 2)):
        other = StackResult((20, 4, 4))
        for index in range(first, last + 1):
            other.add(SliceResult(index, np.ones((4, 4), bool), None, 0.9, 0.9, needs_review=False))
        summary = summary_of(other, str)
        frame._show_strip(summary.cells, summary.first_slice)
        assert shown() == [cell.tooltip for cell in summary.cells]
