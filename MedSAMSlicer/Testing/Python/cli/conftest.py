"""What the tests of the command line share: an object that is known to the voxel, and the command run in this process.

Every slice has the same smallest and largest value and is seen through the same window, so a part of the volume, or
the volume with its axes exchanged, shows the model the same slices: they are encoded once for all tests.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from MedSAMSlicerLib.cli.main import main
from MedSAMSlicerLib.engine.masks import dice
from MedSAMSlicerLib.engine.model_choice import LoadedModel, ModelChoice, RunInfo
from MedSAMSlicerLib.engine.prompts import Box, StackPrompt
from MedSAMSlicerLib.engine.propagation.prompt_jitter import JitterAgreement
from MedSAMSlicerLib.engine.results import SliceResult
from MedSAMSlicerLib.engine.serving import service
from MedSAMSlicerLib.engine.stack import SliceSource

SPACING = (1.5, 1.5, 4.0)
ORIGIN = (-40.25, 20.5, 7.0)
WINDOW = "350,400"
BOX = (18, 42, 19, 49, 1, 5)
"""Bounding box of the object, as --box wants it."""


@dataclass(frozen=True)
class Phantom:
    """An ellipsoid in noise.

    Attributes:
        voxels: int16 (k, j, i), 7 x 64 x 64.
        truth: bool (k, j, i); the object lies on slices 1 to 5.
    """

    voxels: np.ndarray
    truth: np.ndarray

    def image(self, voxels: np.ndarray | None = None, spacing: tuple[float, float, float] = SPACING) -> sitk.Image:
        """The phantom, or other (k, j, i) voxels, as an image with a geometry of its own."""
        image = sitk.GetImageFromArray(self.voxels if voxels is None else voxels)
        image.SetSpacing(spacing)
        image.SetOrigin(ORIGIN)
        return image

    def dice(self, mask: np.ndarray, truth: np.ndarray | None = None) -> float:
        truth = self.truth if truth is None else truth
        return dice(mask, truth)


@pytest.fixture(scope="session")
def phantom() -> Phantom:
    k, j, i = np.mgrid[0:7, 0:64, 0:64]
    truth = ((k - 3) / 2.6) ** 2 + ((j - 34) / 15.2) ** 2 + ((i - 30) / 12.2) ** 2 <= 1
    voxels = np.clip(np.random.default_rng(0).normal(200, 8, truth.shape) + truth * 300, 160, 540)
    voxels[:, 0, 0], voxels[:, 0, 1] = 100, 600
    extent = [int(edge) for n in (2, 1, 0) for edge in np.flatnonzero(truth.any(tuple({0, 1, 2} - {n})))[[0, -1]]]
    assert tuple(extent) == BOX
    return Phantom(voxels.astype(np.int16), truth)


@pytest.fixture
def image_file(phantom: Phantom, tmp_path: Path) -> Path:
    path = tmp_path / "chest.nrrd"
    sitk.WriteImage(phantom.image(), str(path))
    return path


@dataclass(frozen=True)
class CommandResult:
    """What a run of the command left on the terminal."""

    status: int
    out: str
    err: str


@pytest.fixture
def medsam_slicer(capfd: pytest.CaptureFixture[str]) -> Callable[..., CommandResult]:
    """The command, run in this process with whatever model it loads."""

    def run(*arguments: object) -> CommandResult:
        capfd.readouterr()
        status = main([str(argument) for argument in arguments])
        return CommandResult(status, *capfd.readouterr())

    return run


class MemoizingService:
    """The real engine and model; slices and prompts that it has been asked for before are answered from memory."""

    def __init__(self) -> None:
        self._service = service.SegmentationService()
        self._answers: dict[tuple[Any, ...], tuple[list[SliceResult], RunInfo]] = {}

    def load(self, choice: ModelChoice) -> LoadedModel:
        return self._service.load(choice)

    def segment(
        self, choice: ModelChoice, source: SliceSource, prompt: StackPrompt, info: RunInfo
    ) -> Iterator[SliceResult]:
        slices = hashlib.sha256(b"".join(source.slice_uint8(n).tobytes() for n in range(source.shape[0]))).digest()
        question = (choice, source.shape, source.spacing, slices, repr(prompt))
        if question not in self._answers:
            seen = RunInfo()
            self._answers[question] = (list(self._service.segment(choice, source, prompt, seen)), seen)
        results, seen = self._answers[question]
        info.loaded, info.timings, info.notes = seen.loaded, seen.timings, list(seen.notes)
        for result in results:
            yield replace(result, mask=result.mask.copy())

    def jitter_agreement(self, choice: ModelChoice, image: np.ndarray, box: Box, count: int) -> JitterAgreement:
        return self._service.jitter_agreement(choice, image, box, count)


@pytest.fixture(scope="session")
def engine(litemedsam_weights: Path) -> MemoizingService:
    """One engine for all runs."""
    return MemoizingService()


@dataclass(frozen=True)
class FirstRun:
    """The run that encoded every slice of the object. Its files are not to be changed."""

    image: Path
    output: Path
    preview: Path
    report: dict[str, Any]


@pytest.fixture(scope="session")
def first_run(engine: MemoizingService, phantom: Phantom, tmp_path_factory: pytest.TempPathFactory) -> FirstRun:
    folder = tmp_path_factory.mktemp("first_run")
    sitk.WriteImage(phantom.image(), str(folder / "chest.nrrd"))
    paths = [folder / name for name in ("chest.nrrd", "tumour.seg.nrrd", "preview.png", "report.json")]
    image, output, preview, report = paths
    arguments = ["segment", image, "--output", output, "--preview", preview, "--report", report]
    arguments += ["--box", *BOX, "--window", WINDOW, "--segment-name", "Lung tumour", "--quiet"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service, "SegmentationService", lambda *_, **__: engine)
        assert main([str(argument) for argument in arguments]) == 0
    return FirstRun(image, output, preview, json.loads(report.read_text(encoding="utf-8")))


@pytest.fixture
def segment(
    engine: MemoizingService,
    first_run: FirstRun,
    medsam_slicer: Callable[..., CommandResult],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., CommandResult]:
    """``medsam-slicer segment`` with the phantom's window, after the first run."""
    monkeypatch.setattr(service, "SegmentationService", lambda *_, **__: engine)

    def run(*arguments: object) -> CommandResult:
        return medsam_slicer("segment", *arguments, "--window", WINDOW)

    return run


@pytest.fixture
def files_of(tmp_path: Path) -> Callable[[], dict[str, tuple[int, int]]]:
    """Every file below the test's folder, with its size and the time of its last change."""

    def files() -> dict[str, tuple[int, int]]:
        found = (path for path in tmp_path.rglob("*") if path.is_file())
        return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in found}

    return files


@pytest.fixture
def refused(
    medsam_slicer: Callable[..., CommandResult], files_of: Callable[[], dict[str, tuple[int, int]]]
) -> Callable[..., AbstractContextManager[list[CommandResult]]]:
    """Expects runs that end with a status and one line that mentions all texts, and that leave every file as it was."""

    @contextmanager
    def expect(*mentions: object, status: int = 2) -> Iterator[Callable[..., CommandResult]]:
        before = files_of()
        runs: list[CommandResult] = []

        def run(*arguments: object) -> CommandResult:
            runs.append(medsam_slicer(*arguments))
            return runs[-1]

        yield run
        assert runs
        for ran in runs:
            assert ran.status == status, ran.err
            assert ran.out == ""
            assert ran.err.startswith("medsam-slicer: ") and ran.err.count("\n") == 1 and ran.err.endswith("\n")
            for mention in mentions:
                assert str(mention) in ran.err
        assert files_of() == before

    return expect


def write_series(folder: Path, voxels: np.ndarray, heights: list[float] | None = None) -> Path:
    """The (k, j, i) voxels as a CT series, one file for each slice, at `ORIGIN` and `SPACING`."""
    folder.mkdir(parents=True, exist_ok=True)
    uid, count = generate_uid(), len(list(folder.iterdir()))
    heights = [ORIGIN[2] + SPACING[2] * n for n in range(len(voxels))] if heights is None else heights
    for n, (height, pixels) in enumerate(zip(heights, voxels, strict=True)):
        ds = pydicom.Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = CTImageStorage
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
        ds.StudyInstanceUID = ds.SeriesInstanceUID = uid
        ds.Modality, ds.SeriesNumber = "CT", 2 + count
        ds.ImageOrientationPatient, ds.PixelSpacing = [1, 0, 0, 0, 1, 0], [SPACING[1], SPACING[0]]
        ds.ImagePositionPatient = [ORIGIN[0], ORIGIN[1], height]
        ds.RescaleSlope, ds.RescaleIntercept = 1, -1024
        ds.Rows, ds.Columns = pixels.shape
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
        ds.PixelData = (pixels.astype(np.int32) + 1024).astype(np.uint16).tobytes()
        ds.save_as(folder / f"IM{count + n:04d}", enforce_file_format=True)
    return folder


@pytest.fixture
def series() -> Callable[..., Path]:
    """Writes (k, j, i) voxels as a CT series into a folder."""
    return write_series


@pytest.fixture
def roi_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes the Markups file that Slicer would save for ROIs with that centre (LPS mm), size and axes."""

    def write(center: list[float], size: list[float], axes: np.ndarray | None = None, count: int = 1) -> Path:
        markup = {
            "type": "ROI",
            "coordinateSystem": "LPS",
            "coordinateUnits": "mm",
            "name": "R",
            "roiType": "Box",
            "center": center,
            "orientation": (np.eye(3) if axes is None else axes).ravel().tolist(),
            "size": size,
            "insideOut": False,
            "controlPoints": [{"id": "1", "label": "R-1", "position": center, "positionStatus": "defined"}],
        }
        path = tmp_path / "R.mrk.json"
        path.write_text(json.dumps({"markups": [markup] * count}))
        return path

    return write
