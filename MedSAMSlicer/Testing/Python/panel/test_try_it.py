"""'Try it': from nothing to the first rectangle on the sample CT in three clicks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import slicer.util

from MedSAMSlicerLib.panel.setup.sample_data import SAMPLE
from MedSAMSlicerLib.scene.state.effect_parameters import EffectParameters

SPACING = (0.625, 0.625, 5.0)


@pytest.fixture
def modules(host: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the modules that were opened; the Segment Editor's widget is made when it is opened first."""
    opened: list[str] = []

    def select(name: str) -> None:
        opened.append(name)
        if name == "SegmentEditor" and host.editor is None:
            host.open_editor()

    monkeypatch.setattr(slicer.util, "selectModule", select)
    return opened


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch, host: Any) -> list[str]:
    """What the user was asked; the answers are those of `host.answers`."""
    asked: list[str] = []

    def confirm(text: str, **_options: Any) -> bool:
        asked.append(text)
        return bool(host.answers.popleft())

    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", confirm)
    return asked


def put_sample_in_cache() -> None:
    voxels = np.full((22, 410, 420), -900, np.int16)
    voxels[16:22, 338:392, 324:398] = 40
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(SPACING)
    sitk.WriteImage(image, str(Path(slicer.mrmlScene.GetCacheManager().GetRemoteCacheDirectory(), "lung2_image.nrrd")))


def curves() -> list[Any]:
    return list(slicer.util.getNodesByClass("vtkMRMLMarkupsClosedCurveNode"))


@pytest.mark.usefixtures("no_weights_package")
class TestBeforeTheSetup:
    def test_missing_packages_are_named_and_their_section_opens(
        self, host: Any, widget: Any, ui: Any, installed: dict[str, str], modules: list[str]
    ) -> None:
        del installed["openvino"]
        widget.enter()
        ui.packagesSection.collapsed = True
        host.user.click(ui.tryItButton)
        assert "First install the packages (step 1)" in ui.tryItMessage.text and ui.tryItMessage.visible
        assert not ui.packagesSection.collapsed
        assert modules == [] and slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLVolumeNode") == 0

    def test_a_missing_model_is_named_and_its_section_opens(self, host: Any, ui: Any, modules: list[str]) -> None:
        ui.modelsSection.collapsed = True
        host.user.click(ui.tryItButton)
        assert "First install a model (step 2)" in ui.tryItMessage.text
        assert not ui.modelsSection.collapsed
        assert modules == []


@pytest.mark.usefixtures("host")
def test_nothing_is_missing_once_packages_and_a_model_are_there() -> None:
    from MedSAMSlicerLib.panel.try_it import missing_step

    assert missing_step(False, ["medsam"]) and missing_step(True, [])
    assert missing_step(True, ["medsam"]) == ""


@pytest.fixture
def ready(litemedsam_weights: Path, monkeypatch: pytest.MonkeyPatch, widget: Any) -> Any:
    """The widget of a panel with packages and LiteMedSAM."""
    monkeypatch.setenv("MEDSAM_SLICER_WEIGHTS", str(litemedsam_weights.parent))
    widget.enter()
    return widget


def test_from_nothing_to_a_rectangle(host: Any, ready: Any, ui: Any, modules: list[str], questions: list[str]) -> None:
    from MedSAMSlicerLib.panel import sample

    put_sample_in_cache()
    host.user.click(ui.tryItButton)
    assert questions == [], "nothing to download"
    assert not ui.tryItMessage.visible and modules == ["SegmentEditor"]

    volume = sample.find_sample()
    display = volume.GetDisplayNode()
    assert (display.GetLevel(), display.GetWindow(), display.GetAutoWindowLevel()) == (-600, 1500, 0)
    node = host.editor.mrmlSegmentEditorNode()
    assert node.GetSourceVolumeNode() is volume
    segmentation = node.GetSegmentationNode()
    assert segmentation.GetSegmentation().GetSegment(node.GetSelectedSegmentID()).GetName() == "Tumour"
    effect = host.editor.activeEffect().self()
    assert effect.contouring.state.problem is None
    assert EffectParameters(node).get("Window") == "lung"

    [hint] = curves()
    red = host.user.view("Red").mrmlSliceNode()
    assert red.GetSliceToRAS().GetElement(2, 3) == pytest.approx(20 * SPACING[2])
    to_xy = np.linalg.inv(slicer.util.arrayFromVTKMatrix(red.GetXYToRAS()))
    corners = [to_xy @ [*hint.GetNthControlPointPositionWorld(n), 1] for n in (0, 2)]
    pixels = [tuple(map(round, corner[:2])) for corner in corners]
    width, height = red.GetDimensions()[:2]
    assert all(0 < x < width and 0 < y < height for x, y in pixels)
    assert abs(pixels[1][0] - pixels[0][0]) > width / 5, "the tumour is large"

    assert host.user.drag("Red", *pixels)
    assert effect.contouring.problem is None
    [(index, key)] = effect.contouring.state.prompts.keys.items()
    assert index == 20
    np.testing.assert_allclose(key.prompt.box.xyxy, sample.RECTANGLE.xyxy, atol=1.5)
    assert curves() == [], "the hint has gone"
    effect.cancel()


def test_what_is_there_already_is_used_again(
    host: Any, ready: Any, ui: Any, modules: list[str], questions: list[str]
) -> None:
    put_sample_in_cache()
    for _ in range(3):
        host.user.click(ui.tryItButton)
        host.editor.setActiveEffect(None)
        assert len(curves()) == 1
    for kind in ("ScalarVolume", "Segmentation"):
        assert slicer.mrmlScene.GetNumberOfNodesByClass(f"vtkMRML{kind}Node") == 1
    [segmentation] = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 1
    ready.cleanup()
    assert curves() == []


def test_a_download_is_asked_for_and_may_be_declined(
    host: Any, ready: Any, ui: Any, modules: list[str], questions: list[str]
) -> None:
    host.answers.append(False)
    host.user.click(ui.tryItButton)
    [question] = questions
    assert "18 MB" in question and "raw.githubusercontent.com" in question
    assert modules == [] and not ui.tryItMessage.visible


def test_a_download_that_fails_is_an_error_below_the_button(
    host: Any, ready: Any, ui: Any, modules: list[str], questions: list[str]
) -> None:
    host.answers.append(True)
    host.user.click(ui.tryItButton)
    assert "could not be downloaded: check the network connection" in ui.tryItMessage.text
    assert modules == [] and slicer.app.__dict__["_cursors"] == []


def test_the_sample_data_module_opens_it_the_same_way_and_keeps_the_users_window(host: Any, widget: Any) -> None:
    from MedSAMSlicerLib.panel import sample

    put_sample_in_cache()
    [source] = [one for one in slicer.modules.sampleDataSources["MedSAMSlicer"] if one.sampleName == SAMPLE]
    node = host.open_editor().mrmlSegmentEditorNode()
    EffectParameters(node).set("Window", "bone")
    [volume] = source.customDownloader(source)
    assert volume is sample.find_sample()
    assert (volume.GetDisplayNode().GetLevel(), volume.GetDisplayNode().GetWindow()) == (-600, 1500)
    assert EffectParameters(node).get("Window") == "bone"
