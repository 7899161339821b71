"""A short story with the real engine: LiteMedSAM in its process, from the rectangle to the segment and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from effect.conftest import Bench

pytest.importorskip("torch", reason="the engine needs torch")
FIRST, LAST = 9, 12


@pytest.fixture
def bench(host: Any, repository: Path, litemedsam_weights: Path) -> Bench:
    from MedSAMSlicerLib.effect.qprocess_transport import inference_process
    from MedSAMSlicerLib.panel import settings

    # OpenVINO would first be made to know the network, which takes longer than this story.
    settings.set_device("cpu", "torch")
    made = Bench(host, repository)
    made.effect.make_transport = inference_process
    made.centre()
    parameter = made.effect.scriptedEffect.setParameter
    for name, value in (("EncodeAhead", "0"), ("ReachPlane", "K"), ("ReachStart", FIRST), ("ReachEnd", LAST)):
        parameter(name, str(value))
    parameter("Reach", "range")
    return made


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * float((one & other).sum()) / float(one.sum() + other.sum())


def test_a_ball_is_contoured_by_litemedsam_previewed_applied_and_undone(bench: Bench) -> None:
    hands, host = bench.host.hands, bench.host
    assert hands.press("Red", bench.at("Red", -1))
    assert hands.move("Red", bench.at("Red", 1))
    host.wait_until(lambda: bench.contouring.rectangle.image is not None or bench.contouring.problem, 60)
    assert bench.contouring.problem is None
    assert dice(bench.contouring.rectangle.image.values[0] > 0, bench.truth[10]) > 0.9
    assert hands.release("Red", bench.at("Red", 1))
    host.wait_until(lambda: not bench.contouring.running, 60)
    assert bench.ui.problemLabel.text == ""
    result = bench.contouring.result
    assert [found.index for found in result] == list(range(FIRST, LAST + 1))
    assert all(0.5 < found.predicted_iou < 1.1 for found in result)
    wanted = bench.truth.copy()
    wanted[:FIRST] = wanted[LAST + 1 :] = False
    assert not bench.voxels().any()
    hands.click(bench.ui.applyButton)
    assert (bench.voxels() == bench.result()).all() and dice(bench.voxels(), wanted) > 0.9
    host.editor.undo()
    host.clock.advance(100)
    assert not bench.voxels().any() and bench.ui.resultLabel.text.startswith("Undone")
