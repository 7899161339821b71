"""A user opens the module in a fresh Slicer, and installs the missing packages."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import slicer

from support.panel_views import rows_of


@pytest.fixture
def fresh(installed: dict[str, str], no_weights_package: None) -> None:
    installed.clear()


@pytest.fixture
def requests_of_torch(installed: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Replaces the PyTorch extension. Arguments of each call."""
    asked: list[dict[str, Any]] = []

    def install_torch(**arguments: Any) -> Any:
        asked.append(arguments)
        installed.update(torch="2.12.0", torchvision="0.27.0")
        return SimpleNamespace()

    extension = ModuleType("PyTorchUtils")
    extension.PyTorchUtilsLogic = lambda: SimpleNamespace(installTorch=install_torch)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)
    return asked


@pytest.fixture
def pip(installed: dict[str, str], widget: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Replaces pip by a function that succeeds. Names of the packages of each call."""
    asked: list[Any] = []

    def ensure(requirements: Any, **_: Any) -> None:
        asked.append([requirement.name for requirement in requirements])
        installed.update(
            {
                "cachetools": "6.0",
                "contourpy": "1.3",
                "openvino": "2026.4.1",
                "platformdirs": "4.3",
                "pooch": "1.9",
                "safetensors": "0.8",
            }
            if len(requirements) > 1
            else {"segment-anything": "1.0"}
        )

    monkeypatch.setattr(sys.modules["slicer.packaging"], "pip_ensure", ensure)
    return asked


def test_opening_the_module_installs_nothing_and_lists_missing_packages(
    fresh: None, host: Any, widget: Any, ui: Any, requests_of_torch: list[Any]
) -> None:
    widget.enter()
    assert (host.installed, requests_of_torch, host.shown) == ([], [], [])
    assert "install the packages" in ui.summaryLabel.text
    assert ui.packagesSection.text == "1. Packages (6 missing)" and not ui.packagesSection.collapsed
    assert rows_of(ui.packagesTable)[0] == ["cachetools", ">=5.3,<9", "missing"]
    assert rows_of(ui.packagesTable)[6] == ["torch", ">=2.2", "optional"]
    assert "models other than LiteMedSAM need PyTorch" in ui.torchHint.text and not ui.installTorchButton.enabled
    assert "only when you click" in ui.packagesHint.text
    assert not ui.openEditorButton.enabled and not ui.checkComputerButton.enabled
    assert "packages" in ui.checkComputerButton.toolTip


def test_one_click_installs_all_and_leads_to_the_next_step(
    fresh: None, host: Any, ui: Any, requests_of_torch: list[Any], pip: list[Any]
) -> None:
    host.user.click(ui.installPackagesButton)
    assert requests_of_torch == [] and pip == [
        ["cachetools", "contourpy", "openvino", "platformdirs", "pooch", "safetensors"]
    ]
    assert ui.packagesSection.text == "1. Packages (ready)" and ui.packagesSection.collapsed
    assert "All packages are installed" in ui.packagesMessage.text
    assert not ui.installPackagesButton.enabled
    assert "install a model (step 2)" in ui.summaryLabel.text
    assert host.shown == [], "the click was the consent"


def test_pytorch_is_installed_by_a_button_of_its_own_when_the_rest_is_there(
    installed: dict[str, str], host: Any, widget: Any, ui: Any, requests_of_torch: list[Any], pip: list[Any]
) -> None:
    for name in ("torch", "torchvision", "segment-anything"):
        del installed[name]
    widget.enter()
    assert ui.packagesSection.text == "1. Packages (ready)"
    ui.packagesSection.collapsed = False
    host.user.click(ui.installTorchButton)
    assert len(requests_of_torch) == 1 and requests_of_torch[0]["askConfirmation"] is True
    assert pip == [["segment-anything"]] and ui.packagesMessage.text == "PyTorch is installed."
    assert not ui.installTorchButton.enabled and "all models can be used" in ui.torchHint.text


def test_a_model_that_needs_pytorch_says_so(installed: dict[str, str], host: Any, widget: Any, ui: Any) -> None:
    del installed["torch"]
    widget.enter()
    texts = []
    for row in range(3):  # LiteMedSAM+, LiteMedSAM, MedSAM
        ui.modelsTable.selectRow(row)
        texts.append(ui.modelDetails.text)
    assert ["Needs PyTorch" in text for text in texts] == [False, False, True]


def test_without_the_pytorch_extension_the_panel_explains_how_to_install_it(
    fresh: None, host: Any, ui: Any, pip: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    host.user.click(ui.installPackagesButton)
    ui.packagesSection.collapsed = False
    host.user.click(ui.installTorchButton)
    assert "Error:" in ui.packagesMessage.text and "Extensions Manager" in ui.packagesMessage.text
    assert ui.packagesMessage.visible and ui.installTorchButton.enabled
    assert len(pip) == 1


def test_the_wait_cursor_is_restored_after_a_failure(
    fresh: None, host: Any, ui: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("no network")

    monkeypatch.setattr(sys.modules["slicer.packaging"], "pip_ensure", fails)
    cursors: list[str] = []
    import qt

    monkeypatch.setattr(qt.QApplication, "setOverrideCursor", lambda cursor: cursors.append("wait"))
    monkeypatch.setattr(qt.QApplication, "restoreOverrideCursor", lambda: cursors.append("normal"))
    host.user.click(ui.installPackagesButton)
    assert cursors == ["wait", "normal"]


def test_opening_the_module_again_refreshes_the_panel(widget: Any, ui: Any, installed: dict[str, str]) -> None:
    assert ui.packagesSection.text == "1. Packages (ready)"
    del installed["openvino"]
    widget.enter()
    assert ui.packagesSection.text == "1. Packages (1 missing)"
    assert "40 to 100 MB" in ui.packagesHint.text, "no gigabytes are announced"


def test_buttons_open_the_other_modules(host: Any, ui: Any, widget: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(slicer.util, "selectModule", opened.append)
    host.user.click(ui.sampleDataButton)
    host.user.click(ui.openEditorButton)
    assert opened == ["SampleData", "SegmentEditor"]


def test_the_samples_are_in_the_sample_data_module(widget: Any) -> None:
    (sources,) = slicer.modules.sampleDataSources.values()
    assert [source.sampleName for source in sources] == ["Lung tumour CT", "Lung tumour CT with contour"]
    assert all(Path(source.thumbnailFileName).is_file() for source in sources)


def test_the_logic_lists_missing_packages(fresh: None, widget: Any) -> None:
    logic = sys.modules["MedSAMSlicer"].MedSAMSlicerLogic()
    assert logic.missingPackages() == [
        "cachetools",
        "contourpy",
        "openvino",
        "platformdirs",
        "pooch",
        "safetensors",
    ]
    assert logic.usableModels() == []
    assert logic.device() == "auto"
