"""A large volume fits: what a run does not look at any more is let go."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from MedSAMSlicerLib.api import Segmentation
from MedSAMSlicerLib.cli import segment as segment_command
from MedSAMSlicerLib.cli.main import main
from MedSAMSlicerLib.engine.environment import child_environment
from MedSAMSlicerLib.engine.intensity import Window, WindowedStack
from MedSAMSlicerLib.engine.model_choice import LoadedModel
from MedSAMSlicerLib.engine.prompts import Box, StackPrompt
from MedSAMSlicerLib.engine.propagation.propagate import propagate
from MedSAMSlicerLib.engine.serving import service
from MedSAMSlicerLib.engine.stack import ArrayStack
from MedSAMSlicerLib.io.image import Image
from MedSAMSlicerLib.io.windowed_image import windowed_image
from support.shapes import ellipsoid, stack_of
from support.threshold_model import threshold_predictor

SIDE = 512


TESTS = Path(__file__).resolve().parents[1]
MEASURE = """
import resource
import sys
from cli.test_memory import large_image, windowed_image, Window

def peak():
    # Linux counts in KiB, macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1024)

image = large_image()
before = peak()
seen = windowed_image(image, Window(0, 255, "as it is"), "K", (200, 207))
print(peak() - before)
"""


def large_image() -> Image:
    """400 slices of 512 x 512: 200 MiB, were it not the same voxel again and again."""
    voxels = np.broadcast_to(np.int16(7), (400, SIDE, SIDE))
    return Image(voxels, (1.0, 1.0, 2.0), (0.0, 0.0, 0.0), np.eye(3), "CT", Path("large.nrrd"))


@pytest.mark.slow
def test_only_the_slices_that_are_looked_at_take_memory() -> None:
    image = large_image()
    pytest.importorskip("resource", reason="needs a system that tells what a process has taken")
    # In a process of its own: other tests' memory comes and goes in this one.
    grown = subprocess.run(
        [sys.executable, "-c", MEASURE], env=child_environment([TESTS]), capture_output=True, text=True, check=True
    )
    assert float(grown.stdout) < 20
    seen, window = windowed_image(image, Window(0, 255, "as it is"), "K", (200, 207))
    assert (seen.voxels[200:208] == 7).all() and not seen.voxels[199].any() and not seen.voxels[208].any()
    assert not seen.voxels.flags.writeable and seen.voxels.dtype == np.uint8
    assert replace(seen, voxels=image.voxels).__dict__ == image.__dict__, "on the same grid"


@pytest.mark.parametrize("axis", "IJK")
@pytest.mark.parametrize("reach", [(2, 4), None])
def test_the_model_and_the_preview_see_what_they_saw_of_the_scanner_values(
    axis: str, reach: tuple[int, int] | None
) -> None:
    values = np.random.default_rng(1).integers(-1024, 1500, (6, 7, 8)).astype(np.int16)
    image = Image(values, (1.0, 1.0, 2.0), (0.0, 0.0, 0.0), np.eye(3), "CT", Path("chest.nrrd"))
    window = Window(-160.0, 240.0, "soft-tissue", background=3.0, requested=(40.0, 400.0))
    seen, applied = windowed_image(image, window, axis, reach)
    wanted, found = (
        WindowedStack(ArrayStack(one.voxels, one.spacing_ijk, axis), how)
        for one, how in ((image, window), (seen, applied))
    )
    first, last = reach or (0, wanted.shape[0] - 1)
    for index in range(first, last + 1):
        np.testing.assert_array_equal(found.slice_uint8(index), wanted.slice_uint8(index))
    assert applied.describe() == window.describe() and (applied.lower, applied.upper) == (-160.0, 240.0)


@pytest.mark.parametrize(
    "prompt",
    [
        StackPrompt.from_box3d(3, 8, Box(18, 14, 42, 36)),
        StackPrompt({4: Box(18, 14, 42, 36), 7: Box(18, 14, 42, 36)}, (3, 8)),
    ],
)
def test_the_engine_looks_at_no_slice_outside_the_reach(prompt: StackPrompt) -> None:
    """What the command lets go of must not be asked for."""
    lesion = ellipsoid((12, 50, 60), (5.5, 25.0, 30.0), (5.0, 12.0, 15.0))
    source = stack_of(lesion)
    looked_at: list[int] = []

    class Watched:
        shape, spacing = source.shape, source.spacing

        def slice_uint8(self, index: int) -> np.ndarray:
            looked_at.append(index)
            return source.slice_uint8(index)

    assert [result.index for result in propagate(Watched(), prompt, threshold_predictor())]
    assert set(looked_at) == set(range(3, 9))


def test_a_run_keeps_neither_the_rest_of_the_volume_nor_many_embeddings(
    image_file: Path, tmp_path: Path, litemedsam_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, object] = {}

    class Watching:
        def __init__(self, cache_bytes: int, _files: object) -> None:
            seen["cache"] = cache_bytes

        def load(self, choice: object) -> LoadedModel:
            return LoadedModel("litemedsam", "0" * 64, "cpu", "plain")

        def segment(self, choice: object, source: object, prompt: StackPrompt, info: object) -> object:
            info.loaded = self.load(choice)  # type: ignore[attr-defined]
            yield from propagate(source, prompt, threshold_predictor())  # type: ignore[arg-type]

    def written(path: Path, found: Segmentation, **_: object) -> None:
        seen["held"] = np.flatnonzero(found.image.voxels.any(axis=(1, 2))).tolist()
        path.write_bytes(b"whole")

    monkeypatch.setattr(service, "SegmentationService", Watching)
    monkeypatch.setattr(segment_command, "write_segmentation", written)
    arguments = ["segment", image_file, "--output", tmp_path / "out.nrrd", "--box", 18, 42, 19, 49, 2, 4, "--quiet"]
    assert main([str(one) for one in [*arguments, "--window", "350,400"]]) == 0
    assert seen["held"] == [2, 3, 4]
    assert isinstance(seen["cache"], int) and seen["cache"] <= 32 << 20
