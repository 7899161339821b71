"""Files appear together and whole, or not at all: full disks and Ctrl-C at the worst moment."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from MedSAMSlicerLib.cli import segment as segment_command
from MedSAMSlicerLib.engine.model_choice import LoadedModel, ModelChoice, RunInfo
from MedSAMSlicerLib.engine.prompts import StackPrompt
from MedSAMSlicerLib.engine.propagation.propagate import propagate
from MedSAMSlicerLib.engine.results import SliceResult
from MedSAMSlicerLib.engine.serving import service
from MedSAMSlicerLib.engine.stack import SliceSource
from support.threshold_model import threshold_predictor

BOX = ("--box", 18, 42, 19, 49, 1, 5)


class BrightService:
    """Segments what is bright: what is written matters here, not what is found."""

    def load(self, choice: ModelChoice) -> LoadedModel:
        return LoadedModel(choice.model, "0" * 64, "cpu", "plain")

    def segment(
        self, choice: ModelChoice, source: SliceSource, prompt: StackPrompt, info: RunInfo
    ) -> Iterator[SliceResult]:
        info.loaded = self.load(choice)
        yield from propagate(source, prompt, threshold_predictor())


@pytest.fixture
def everything(
    medsam_slicer: Callable, image_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Any]:
    """The command with all three outputs; older ones are there already."""
    monkeypatch.setattr(service, "SegmentationService", lambda *_, **__: BrightService())
    names = {"--output": "out.seg.nrrd", "--preview": "preview.png", "--report": "report.json"}
    for name in names.values():
        (tmp_path / name).write_text("older")
    files = [part for option, name in names.items() for part in (option, tmp_path / name)]
    return lambda: medsam_slicer("segment", image_file, *files, *BOX, "--window", "350,400")


def on_storing(monkeypatch: pytest.MonkeyPatch, number: int, error: BaseException) -> None:
    """Raise the error when the system is asked to store the temporary file of that number."""
    store, stored = os.fsync, []

    def fsync(descriptor: int) -> None:
        stored.append(descriptor)
        if len(stored) == number:
            raise error
        store(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)


# Each file is stored by its writer, and once more beside its place.
STORED = ("out.seg.nrrd", "out.seg.nrrd", "preview.png", "preview.png", "report.json", "report.json")


@pytest.mark.parametrize(("number", "name"), list(enumerate(STORED, start=1)))
def test_a_disk_that_is_full_when_any_of_the_files_is_stored(
    everything: Callable, files_of: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, name: str
) -> None:
    on_storing(monkeypatch, number, OSError(errno.ENOSPC, "No space left on device"))
    before = files_of()
    ran = everything()
    assert ran.status == 2
    assert ran.err == (
        f"medsam-slicer: {tmp_path / name} was not written: the disk is full; free some space or choose another folder\n"
    )
    assert ran.out == ""
    assert files_of() == before


def test_a_system_that_lets_no_file_grow(everything: Callable, files_of: Callable, tmp_path: Path) -> None:
    """The real thing: writing stops in the middle of the picture, the largest of the files."""
    resource = pytest.importorskip("resource", reason="needs a system that can limit the size of files")
    before = files_of()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, limits[1]))
    try:
        ran = everything()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert ran.status == 2
    assert ran.err.startswith(f"medsam-slicer: {tmp_path / 'preview.png'} was not written: the disk is full")
    assert ran.err.count("\n") == 1
    assert files_of() == before


@pytest.mark.parametrize("number", [1, 2, 3])
def test_ctrl_c_while_a_file_is_stored(
    everything: Callable, files_of: Callable, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    on_storing(monkeypatch, number, KeyboardInterrupt())
    before = files_of()
    ran = everything()
    assert (ran.status, ran.out) == (130, "")
    assert ran.err == "medsam-slicer: interrupted; nothing was written\n"
    assert files_of() == before


@pytest.mark.parametrize("step", ["read_frame", "choose_window", "_segment", "write_segmentation"])
def test_ctrl_c_at_every_step(
    everything: Callable, files_of: Callable, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(segment_command, step, interrupted)
    before = files_of()
    ran = everything()
    assert (ran.status, ran.out) == (130, "")
    assert ran.err == "medsam-slicer: interrupted; nothing was written\n"
    assert files_of() == before


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "ran out of memory"),
        (RuntimeError("CUDA error:\n device-side assert"), "CUDA error: device-side assert"),
    ],
)
def test_an_engine_that_fails_is_one_line_too(
    everything: Callable,
    files_of: Callable,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    words: str,
) -> None:
    found = BrightService.segment

    def failing(*arguments: Any) -> Any:
        yield next(found(*arguments))
        raise error

    monkeypatch.setattr(BrightService, "segment", failing)
    before = files_of()
    ran = everything()
    assert (ran.status, ran.out) == (1, "")
    assert words in ran.err and ran.err.count("\n") == 1
    assert files_of() == before


def test_all_files_are_there_when_all_went_well(everything: Callable, tmp_path: Path) -> None:
    assert everything().status == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "chest.nrrd",
        "out.seg.nrrd",
        "preview.png",
        "report.json",
    ]
    assert not [path for path in tmp_path.iterdir() if path.read_bytes() == b"older"]
