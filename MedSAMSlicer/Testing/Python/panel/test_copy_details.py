"""The log of the panel's jobs, and 'Copy details'."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import slicer

from support.recorded_events import forget_events

NAME = "Müller^Hans 19540312"
PRIVATE = ("Müller", "Hans", "hans.mueller", "19540312")


@pytest.fixture(autouse=True)
def _new_log(caplog: pytest.LogCaptureFixture) -> None:
    forget_events()
    caplog.set_level(logging.DEBUG, logger="MedSAMSlicer")


def test_details_are_copied_and_a_message_confirms_it(host: Any, ui: Any) -> None:
    assert not ui.detailsMessage.visible
    host.user.click(ui.copyDetailsButton)
    text = slicer.app.clipboard().text()
    for part in (
        "MedSAMSlicer 0.", "in 3D Slicer 5.13.0 (revision host)", "Python 3.", " cores", "torch ",
        "Device and runtime selected by the check: auto, auto", "Cache for encoded slices: ", "Usable models: ",
        "Last run:\nnone", "Last error:\nnone",
    ):  # fmt: skip
        assert part in text
    assert ui.detailsMessage.visible and "copied" in ui.detailsMessage.text


def test_a_job_that_fails_leaves_its_traceback_in_the_log_and_no_names(
    host: Any, widget: Any, ui: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "home" / "hans.mueller" / f"{NAME}.pth"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"not weights")
    host.answers.append(str(file))
    host.user.click(ui.importModelButton)
    host.wait_until(lambda: not widget.panel.models.busy, seconds=60)
    assert NAME in ui.modelsMessage.text
    host.user.click(ui.copyDetailsButton)
    text = slicer.app.clipboard().text()
    for shown in (text, caplog.text):
        assert "job weights_job starts" in shown and "job ended with status 3" in shown
        assert "the job failed\nTraceback" in shown and "WeightsError" in shown
        assert "MedSAMSlicerLib.engine.models.weights, line" in shown
        assert not any(part in shown for part in PRIVATE)


def test_packages_that_cannot_be_installed_leave_a_traceback(
    host: Any, ui: Any, installed: dict[str, str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from MedSAMSlicerLib.panel.setup import packages

    def fail(*_: Any) -> None:
        raise packages.PackageError(f"nothing was installed to /home/hans.mueller/{NAME}")

    monkeypatch.setattr(packages, "install", fail)
    ui.installPackagesButton.enabled = True
    host.user.click(ui.installPackagesButton)
    assert "nothing was installed" in ui.packagesMessage.text
    host.user.click(ui.copyDetailsButton)
    for shown in (slicer.app.clipboard().text(), caplog.text):
        assert "packages were not installed" in shown and "PackageError" in shown
        assert not any(part in shown for part in PRIVATE)
