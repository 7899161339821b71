"""The device check times all devices and selects only devices whose result matches the CPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.panel_views import rows_of


def device(name: str, seconds: float | None, agrees: bool, message: str = "", hardware: str = "") -> dict[str, Any]:
    dice = None if seconds is None else 1.0 if agrees else 0.2
    return {
        **{
            "kind": "result",
            "device": name,
            "runtime": "torch",
            "name": hardware or name,
            "seconds": seconds,
            "dice": dice,
        },
        **{"agrees": agrees, "message": message},
    }


@pytest.fixture
def computer(tmp_path: Path, widget: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Simulates a device check: the process sends the first lines, waits for the file `go`, and sends the rest."""
    from MedSAMSlicerLib.panel import computer_check

    def have(first: list[dict[str, Any]], rest: list[dict[str, Any]] | None = None) -> Path:
        go = tmp_path / "go"
        (tmp_path / "made_up_check.py").write_text(
            "import json, pathlib, sys, time\n"
            "from MedSAMSlicerLib.engine.jobs.job import run_job\n"
            f"first, rest = json.loads({json.dumps([first, rest or []])!r})\n"
            "def work(say):\n"
            "    for line in first: say(**line)\n"
            f"    while rest and not pathlib.Path({str(go)!r}).exists(): time.sleep(0.01)\n"
            "    for line in rest: say(**line)\n"
            "sys.exit(run_job(work, attached=True))\n"
        )
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.setattr(computer_check, "MODULE", "made_up_check")
        return go

    return have


def wait(host: Any, widget: Any) -> None:
    host.wait_until(lambda: not widget.panel.check.busy, seconds=60)


@pytest.fixture(autouse=True)
def _weights(litemedsam_weights: Path) -> None:
    """A model is installed."""


def started(*devices: str) -> dict[str, Any]:
    return {
        **{"kind": "started"},
        "backends": [{"device": device, "runtime": "torch"} for device in devices],
    }


def test_the_fastest_device_that_matches_the_cpu_is_selected_and_stored(
    host: Any, widget: Any, ui: Any, computer: Any
) -> None:
    computer(
        [
            started("cpu", "cuda"),
            device("cpu", 1.04, True, hardware="x86_64, 2 of 2 cores"),
            device("cuda", 0.0123, True, hardware="NVIDIA RTX"),
            {"kind": "fastest", "device": "cuda", "runtime": "torch"},
        ]
    )
    assert ui.checkSection.text == "3. Check this computer (not checked yet)"
    assert not ui.devicesTable.visible
    host.user.click(ui.checkComputerButton)
    assert not ui.checkComputerButton.enabled
    wait(host, widget)
    assert rows_of(ui.devicesTable) == [
        ["CPU, PyTorch", "1.04 s", "reference"],
        ["CUDA, PyTorch", "0.012 s", "yes"],
    ]
    assert ui.devicesTable.item(1, 0).toolTip() == "NVIDIA RTX"
    assert host.settings["MedSAMSlicer/Device"] == "cuda"
    assert host.settings["MedSAMSlicer/Runtime"] == "torch"
    assert ui.checkSection.text == "3. Check this computer (CUDA, PyTorch)"
    assert "CUDA" in ui.chosenDeviceLabel.text
    assert "select the MedSAM effect" in ui.summaryLabel.text
    assert ui.checkComputerButton.enabled and not ui.checkProgressFrame.visible


def test_a_device_with_a_different_result_is_shown_but_not_selected(
    host: Any, widget: Any, ui: Any, computer: Any
) -> None:
    computer(
        [
            started("cpu", "mps"),
            device("cpu", 0.8, True),
            device("mps", 0.1, False, "its mask differs from the processor's (Dice 0.200): do not use this device"),
            {"kind": "fastest", "device": "cpu", "runtime": "torch"},
        ]
    )
    host.user.click(ui.checkComputerButton)
    wait(host, widget)
    assert rows_of(ui.devicesTable)[1] == ["MPS, PyTorch", "0.10 s", "no"]
    assert "do not use this device" in ui.devicesTable.item(1, 0).toolTip()
    assert host.settings["MedSAMSlicer/Device"] == "cpu"


def test_when_no_device_works_the_panel_shows_the_reason_and_selects_none(
    host: Any, widget: Any, ui: Any, computer: Any
) -> None:
    computer(
        [
            started("cpu"),
            device("cpu", None, False, "out of memory"),
            {"kind": "fastest", "device": None, "runtime": None},
        ]
    )
    host.user.click(ui.checkComputerButton)
    wait(host, widget)
    assert rows_of(ui.devicesTable) == [["CPU, PyTorch", "failed", "no"]]
    assert "Error:" in ui.checkMessage.text and "out of memory" in ui.checkMessage.text
    assert "MedSAMSlicer/Device" not in host.settings


def test_the_panel_shows_the_device_being_timed_and_cancel_keeps_the_selected_device(
    host: Any, widget: Any, ui: Any, computer: Any
) -> None:
    host.settings["MedSAMSlicer/Device"] = "cpu"
    computer(
        [started("cpu", "cuda"), device("cpu", 1.0, True)], [{"kind": "fastest", "device": "cuda", "runtime": "torch"}]
    )
    host.user.click(ui.checkComputerButton)
    host.wait_until(lambda: "CUDA" in ui.checkProgressLabel.text, seconds=60)
    assert ui.checkProgressLabel.text == "Timing CUDA, PyTorch (2 of 2)…"
    host.user.click(ui.cancelCheckButton)
    wait(host, widget)
    assert "Cancelled" in ui.checkMessage.text
    assert host.settings["MedSAMSlicer/Device"] == "cpu"
    assert ui.checkComputerButton.enabled


def test_an_error_of_the_job_is_shown_in_the_panel(host: Any, widget: Any, ui: Any, computer: Any) -> None:
    Path(computer([]).parent, "made_up_check.py").write_text("raise SystemExit('no module named torch')")
    host.user.click(ui.checkComputerButton)
    wait(host, widget)
    assert "no module named torch" in ui.checkMessage.text


def test_the_model_for_the_check_can_be_any_installed_model(
    host: Any, widget: Any, ui: Any, cache: Path, computer: Any
) -> None:
    before = ui.checkModelComboBox.count
    (cache / "weights").mkdir(parents=True)
    (cache / "weights" / "sam_vit_b_01ec64.pth").write_bytes(b"x")
    widget.panel.refresh()
    titles = [ui.checkModelComboBox.itemText(n) for n in range(ui.checkModelComboBox.count)]
    assert len(titles) == before + 1 and titles[0] == "LiteMedSAM+" and titles[-1] == "SAM ViT-B"
    host.user.choose(ui.checkModelComboBox, "SAM ViT-B")
    widget.panel.refresh()
    assert ui.checkModelComboBox.currentText == "SAM ViT-B", "looking again does not change the choice"
