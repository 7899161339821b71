"""Which objects in a 3D box the user is told about, on stacks whose truth is known."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

import MedSAMSlicerLib.api as medsam
from MedSAMSlicerLib.cli.main import main
from MedSAMSlicerLib.engine.model_choice import ModelChoice, RunInfo
from MedSAMSlicerLib.engine.models.family import NetworkPrompt
from MedSAMSlicerLib.engine.prompts import Box, KeyMask, SlicePrompt, StackPrompt
from MedSAMSlicerLib.engine.propagation.box_fit import BoxFit
from MedSAMSlicerLib.engine.propagation.settings import BoxFitSettings
from MedSAMSlicerLib.engine.results import SliceResult
from MedSAMSlicerLib.engine.serving import service
from MedSAMSlicerLib.engine.serving.service import SegmentationService
from MedSAMSlicerLib.evaluation.cases import read_cases
from support.shapes import ellipsoid, stack_of
from support.threshold_model import ThresholdRuntime, load_threshold_model

SHAPE = (24, 56, 60)
FIRST, LAST = 3, 20
CENTRE = (11.5, 28, 30)
BENDS, UNSURE = "The object bends in its 3D box", "The model is unsure where the object lies"


@pytest.fixture(autouse=True)
def threshold_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "load_predictor", lambda choice, _cache=None: load_threshold_model(choice))


def tube(centre: Callable[[float], tuple[float, float]], radius: float = 5) -> np.ndarray:
    """A tube on slices 3 to 20; `centre` gives its row and column at -1 (lower end) to 1."""
    mask = np.zeros(SHAPE, bool)
    rows, columns = np.ogrid[: SHAPE[1], : SHAPE[2]]
    for index in range(FIRST, LAST + 1):
        row, column = centre(2 * (index - FIRST) / (LAST - FIRST) - 1)
        mask[index] = (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
    return mask


def turning(turns: float) -> Callable[[float], tuple[float, float]]:
    return lambda t: (28 + 16 * np.sin(np.pi * turns * t), 30 + 16 * np.cos(np.pi * turns * t))


def sheared(rows_a_slice: float) -> np.ndarray:
    k, j, i = np.ogrid[tuple(slice(n) for n in SHAPE)]
    upright = ((k - 11.5) / 9) ** 2 + ((i - 30) / 14) ** 2
    return upright + ((j - 28 - rows_a_slice * (k - 11.5)) / 11) ** 2 <= 1


def box3d(mask: np.ndarray) -> StackPrompt:
    held = np.flatnonzero(mask.any(axis=(1, 2)))
    around = Box.from_mask(mask.any(axis=0))
    assert around is not None
    return StackPrompt.from_box3d(int(held[0]), int(held[-1]), around)


def notes(mask: np.ndarray, prompt: StackPrompt | None = None, slice_mm: float = 1) -> Sequence[str]:
    info = RunInfo()
    choice = ModelChoice("litemedsam", device="cpu", runtime="torch")
    source = stack_of(mask, (1.0, 1.0, slice_mm))
    assert list(SegmentationService().segment(choice, source, prompt or box3d(mask), info))
    return info.notes


BENT = tube(lambda t: (14 + 26 * t * t, 30))


@pytest.mark.parametrize(
    "mask",
    [
        BENT,
        tube(lambda t: (28 + 15 * np.sin(np.pi * t), 30)),
        tube(lambda t: (44 - 30 * np.sqrt(1 - ((t + 1) / 2) ** 2), 30)),
        tube(turning(1), radius=8),
    ],
    ids=["bent", "bent twice", "quarter of a ring", "helix"],
)
def test_a_long_curved_object_is_told_once_with_what_to_do(mask: np.ndarray) -> None:
    (note,) = notes(mask)
    assert note.startswith(BENDS) and "5 or more slices" in note


@pytest.mark.parametrize(
    "mask",
    [
        ellipsoid(SHAPE, CENTRE, (9, 16, 18)),
        sheared(1.5),
        tube(lambda t: (28, 30)),
        tube(lambda t: (28 + 9 * t, 30 - 6 * t), radius=10),
        tube(lambda t: (24 + 4 * t * t, 30), radius=12),
        ellipsoid(SHAPE, CENTRE, (9, 16, 18)) & ~ellipsoid(SHAPE, CENTRE, (5, 8, 8)),
        ellipsoid(SHAPE, (11.5, 15, 30), (9, 9, 9)) | ellipsoid(SHAPE, (11.5, 40, 30), (9, 9, 9)),
    ],
    ids=["ball", "sheared", "upright tube", "oblique tube", "slightly bent", "with a hole", "two side by side"],
)
def test_nothing_is_said_of_compact_and_straight_objects(mask: np.ndarray) -> None:
    assert notes(mask) == []


def test_an_object_that_was_not_found_is_told_too() -> None:
    (note,) = notes(tube(turning(2), radius=4))
    assert note.startswith(UNSURE) and "5 or more slices" in note


@pytest.fixture
def doubting(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lower what the model thinks of its masks, by a factor."""
    decode = ThresholdRuntime.decode

    def doubt(factor: float) -> None:
        def doubtful(
            runtime: ThresholdRuntime,
            embedding: np.ndarray,
            prompts: Sequence[NetworkPrompt],
            multimask: bool = False,
        ) -> tuple[np.ndarray, np.ndarray]:
            logits, ious = decode(runtime, embedding, prompts, multimask)
            return logits, ious * np.float32(factor)

        monkeypatch.setattr(ThresholdRuntime, "decode", doubtful)

    return doubt


def test_a_model_in_doubt_is_told_although_it_fills_the_expected_sections(doubting: Callable[[float], None]) -> None:
    doubting(0.2)
    ball = ellipsoid(SHAPE, CENTRE, (9, 16, 18))
    assert [note.startswith(UNSURE) for note in notes(ball)] == [True]
    # On so few slices, two of poor contrast would be most of them.
    inside = box3d(ball)
    assert notes(ball, StackPrompt({11: SlicePrompt(inside.box3d)}, (10, 13), inside.box3d)) == []


@pytest.mark.parametrize(("slice_mm", "told"), [(1.5, False), (3, True)])
def test_less_doubt_is_enough_in_a_long_box(slice_mm: float, told: bool, doubting: Callable[[float], None]) -> None:
    """In a box of 18 slices and 11 mm on each."""
    doubting(0.61)
    assert bool(notes(tube(lambda t: (28, 30)), slice_mm=slice_mm)) == told


def test_whoever_has_given_key_slices_is_not_asked_for_them() -> None:
    inside = box3d(BENT)
    given = {index: SlicePrompt(key_mask=KeyMask(BENT[index])) for index in (4, 8, 12, 16, 20)}
    assert notes(BENT, StackPrompt({index: given[index] for index in (4, 12, 20)}, inside.slice_range, inside.box3d))
    assert notes(BENT, StackPrompt(given, inside.slice_range, inside.box3d)) == []
    assert notes(BENT, StackPrompt(given)) == [], "without a 3D box"


def test_api_report_and_console_tell_it(
    tmp_path: Path, litemedsam_weights: Path, capsys: pytest.CaptureFixture
) -> None:
    voxels = np.where(BENT, 200, 50).astype(np.int16)
    prompt = box3d(BENT)
    assert prompt.box3d is not None and prompt.slice_range is not None
    x0, y0, x1, y1 = map(int, prompt.box3d.xyxy)
    box = ((x0, x1), (y0, y1), prompt.slice_range)
    image = medsam.Image.from_array(voxels, spacing=(1, 1, 1))
    found = medsam.segment(image, box=box, axis="K", weights=litemedsam_weights, window=(127.5, 255))
    (note,) = found.notes
    assert note.startswith(BENDS)

    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(tmp_path / "image.nrrd"))
    files = ["--output", tmp_path / "out.nrrd", "--report", tmp_path / "report.json", "--weights", litemedsam_weights]
    options = ["--box", *(edge for edges in box for edge in edges), "--axis", "K", "--window", "127.5,255"]
    assert main([str(one) for one in ["segment", tmp_path / "image.nrrd", *files, *options]]) == 0
    assert json.loads((tmp_path / "report.json").read_text())["notes"] == [note]
    assert capsys.readouterr().out.count(note) == 1


def test_true_masks_of_the_development_cases_are_silent_unless_scattered(shared_dir: Path) -> None:
    """What bends according to its true masks: two distant tumours in one box, and a stroke of many small lesions."""
    bends = {}
    for case in read_cases(shared_dir / "data" / "cases.csv"):
        label = sitk.ReadImage(str(case.label))
        voxels = np.isin(sitk.GetArrayViewFromImage(label), [int(value) for value in str(case.value).split("+")])
        along = "KJI".index(case.axis or "K")
        truth, spacing = np.moveaxis(voxels, along, 0), list(label.GetSpacing()[::-1])
        spacing.insert(0, spacing.pop(along))
        fit = BoxFit(box3d(truth), (spacing[0], spacing[1], spacing[2]), BoxFitSettings())
        for index in np.flatnonzero(truth.any(axis=(1, 2))):
            fit.add(SliceResult(int(index), truth[index], None, 1.0, 1.0, False))
        bends[case.id] = (fit.bend, fit.note)
    assert len(bends) == 26
    assert {name for name, (_bend, note) in bends.items() if note} == {"brain1", "stroke9"}
    assert sorted(bend for bend, _note in bends.values())[-3] < 0.12, "far from the limit"
