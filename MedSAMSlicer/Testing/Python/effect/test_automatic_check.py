"""This computer is checked by itself, once, when an idle moment comes after the first result."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from MedSAMSlicerLib.engine.environment import DEFAULT_MODEL

BACKENDS = [{"device": "cpu", "runtime": "torch"}, {"device": "cpu", "runtime": "openvino"}]
RESULTS = [{"kind": "result", **one, "seconds": 0.5 - 0.1 * n, "agrees": True} for n, one in enumerate(BACKENDS)]
FASTEST = {"kind": "fastest", **BACKENDS[1], "conditions": "as they are"}
IDLE = 10_000
"""More milliseconds than the check waits for."""


class Check:
    """Stands in for the engine's job: leaves a file for each start, and waits for the file `go`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.go = folder, folder / "go"

    def say(self, lines: list[dict[str, Any]], fail: bool = False) -> None:
        (self.folder / "made_up_check.py").write_text(
            "import json, os, pathlib, sys, time\n"
            "from MedSAMSlicerLib.engine.jobs.device_check import read_slices\n"
            "from MedSAMSlicerLib.engine.jobs.job import run_job\n"
            f"folder = pathlib.Path({str(self.folder)!r})\n"
            "slices = []\n"
            "def read(stream): slices.extend(read_slices(stream, int(sys.argv[sys.argv.index('--slices') + 1])))\n"
            "def work(say):\n"
            "    shapes = [image.shape for image, _box in slices]\n"
            "    part = folder / 'part'\n"
            "    part.write_text(json.dumps([sys.argv[1:], shapes]))\n"
            "    part.rename(folder / f'start{len(list(folder.glob(\"start*\")))}')\n"
            "    while not (folder / 'go').exists(): time.sleep(0.01)\n"
            f"    for line in json.loads({json.dumps(lines)!r}): say(**line)\n"
            f"    if {fail}: raise RuntimeError('no such device')\n"
            "sys.exit(run_job(work, True, read))\n"
        )

    @property
    def starts(self) -> list[Any]:
        return [json.loads(path.read_text()) for path in sorted(self.folder.glob("start*"))]


@pytest.fixture
def check(host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    from MedSAMSlicerLib.panel import automatic_check

    made = Check(tmp_path)
    made.say([*RESULTS, FASTEST])
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(automatic_check, "MODULE", "made_up_check")
    return made


@pytest.fixture
def fixture(check: Check, effect_fixture: Any) -> Any:
    """The effect on a computer with two things to choose from, nothing of which was checked."""
    effect_fixture.effect._available._take({"kind": "devices", "devices": ["cpu"], "backends": BACKENDS})
    return effect_fixture


def note(fixture: Any) -> str:
    return fixture.ui.noteLabel.text if fixture.ui.noteLabel.visible else ""


def wait_for(fixture: Any, condition: Callable[[], Any]) -> None:
    fixture.host.wait_until(condition, 60)


def running(fixture: Any) -> bool:
    return fixture.effect._check.running


def test_the_fastest_is_found_after_the_first_result_and_said(fixture: Any, check: Check) -> None:
    from MedSAMSlicerLib.panel import settings

    fixture.host.clock.advance(IDLE)
    assert not running(fixture), "nothing was contoured yet"
    fixture.drag()
    assert not running(fixture) and "background" not in note(fixture)
    fixture.host.clock.advance(IDLE)
    wait_for(fixture, lambda: check.starts)
    assert "Finding the fastest device in the background" in note(fixture)
    [[arguments, shapes]] = check.starts
    assert arguments == ["--attached", "--model", DEFAULT_MODEL, "--slices", "3"]
    assert shapes == [[60, 80]] * 3, "slices of the open volume"
    check.go.touch()
    wait_for(fixture, lambda: not running(fixture))
    assert settings.preferred() == ("cpu", "openvino")
    assert fixture.ui.deviceComboBox.currentText == "Automatic (CPU, OpenVINO)"
    assert "'Automatic' is now CPU, OpenVINO" in note(fixture) and "0.40 s per slice" in note(fixture)
    assert fixture.host.shown == [], "nothing pops up"
    fixture.drag()
    fixture.host.clock.advance(IDLE)
    assert len(check.starts) == 1 and "Automatic" not in note(fixture)


@pytest.mark.parametrize("reason", ["switched off", "chosen already", "nothing to choose from"])
def test_it_does_not_begin_without_need(fixture: Any, check: Check, reason: str) -> None:
    from MedSAMSlicerLib.panel import settings

    if reason == "switched off":
        settings.set_checks_automatically(False)
    elif reason == "chosen already":
        settings.set_device("cpu", "openvino")
    else:
        fixture.effect._available._take({"kind": "devices", "devices": ["cpu"], "backends": BACKENDS[:1]})
    fixture.drag()
    fixture.host.clock.advance(IDLE)
    assert not running(fixture) and check.starts == []


def test_the_users_own_work_comes_first(fixture: Any, check: Check) -> None:
    fixture.drag()
    fixture.host.clock.advance(IDLE)
    wait_for(fixture, lambda: len(check.starts) == 1)
    fixture.effect._check._busy = lambda: True
    wait_for(fixture, lambda: not running(fixture))
    assert "background" not in note(fixture)
    fixture.effect._check._busy = lambda: False
    check.go.touch()
    fixture.host.clock.advance(IDLE)
    wait_for(fixture, lambda: "'Automatic' is now" in note(fixture))
    assert len(check.starts) == 2


def test_it_ends_with_the_effect_and_goes_on_when_that_is_chosen_again(fixture: Any, check: Check) -> None:
    fixture.drag()
    fixture.host.clock.advance(IDLE)
    wait_for(fixture, lambda: len(check.starts) == 1)
    fixture.host.editor.setActiveEffect(None)
    wait_for(fixture, lambda: not running(fixture))
    fixture.host.clock.advance(IDLE)
    assert len(check.starts) == 1
    fixture.host.editor.setActiveEffectByName("MedSAM")
    fixture.host.clock.advance(IDLE)
    wait_for(fixture, lambda: len(check.starts) == 2)


def test_if_it_fails_nobody_is_bothered(fixture: Any, check: Check) -> None:
    from MedSAMSlicerLib.panel import settings

    check.say(RESULTS[:1], fail=True)
    check.go.touch()
    fixture.drag()
    fixture.host.clock.advance(IDLE)
    wait_for(fixture, lambda: check.starts and not running(fixture))
    assert note(fixture) == "loaded 1 times", "of the run"
    assert fixture.ui.problemLabel.text == "" and settings.device() == "auto"
    fixture.drag()
    fixture.host.clock.advance(IDLE)
    assert not running(fixture) and len(check.starts) == 1


def test_while_something_is_computed_it_is_not_idle(fixture: Any) -> None:
    wait_for(fixture, lambda: not fixture.effect._computing())
    fixture.drag(wait=False)
    fixture.host.wait_until(lambda: fixture.contouring.running)
    assert fixture.effect._computing()
    fixture.finish()
    wait_for(fixture, lambda: not fixture.effect._computing())
