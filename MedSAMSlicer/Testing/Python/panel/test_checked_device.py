"""The device that the check chose holds until packages, weights or hardware change."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def settings(widget: Any) -> Any:
    from MedSAMSlicerLib.panel import settings

    settings.set_device("cuda", "torch", "litemedsam", "as they were")
    assert settings.preferred() == ("cuda", "torch")
    return settings


@pytest.mark.parametrize("key", ["torch 2.13.0, openvino missing; CPU, 4 cores", ""])
def test_it_is_ignored_once_packages_or_processor_have_changed(
    settings: Any, widget: Any, ui: Any, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setattr(settings, "computer_key", lambda: key)
    assert settings.preferred() == ("auto", "auto") and settings.device() == "auto"
    widget.enter()
    assert "check this computer (step 3)" in ui.summaryLabel.text


def test_the_key_names_versions_processor_and_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    from MedSAMSlicerLib.engine.jobs import check_conditions

    monkeypatch.setattr(check_conditions.importlib.metadata, "version", {"torch": "2.12", "openvino": "2026.4"}.get)
    monkeypatch.setattr(check_conditions, "processor_name", lambda: "Sapphire")
    monkeypatch.setattr(check_conditions.os, "cpu_count", lambda: 8)
    assert check_conditions.computer_key() == "torch 2.12, openvino 2026.4; Sapphire, 8 cores"
    now = check_conditions.conditions(["cuda", "cpu"], "litemedsam", "79d8")
    assert now == "torch 2.12, openvino 2026.4; Sapphire, 8 cores; cuda, cpu; litemedsam 79d8"


def test_it_is_forgotten_once_devices_or_weights_have_changed(settings: Any) -> None:
    settings.compare_conditions("as they were")
    settings.compare_conditions("")  # the process that lists them has not said
    assert settings.preferred() == ("cuda", "torch")
    settings.compare_conditions("a card was taken out")
    assert settings.preferred() == ("auto", "auto")


def test_what_a_script_chose_holds_without_conditions(settings: Any) -> None:
    settings.set_device("cpu", "torch")
    settings.compare_conditions("whatever")
    assert settings.preferred() == ("cpu", "torch")


def test_the_check_box_switches_the_automatic_check_off(host: Any, settings: Any, ui: Any) -> None:
    assert ui.autoCheckBox.checked and settings.checks_automatically()
    host.user.click(ui.autoCheckBox)
    assert not settings.checks_automatically()
