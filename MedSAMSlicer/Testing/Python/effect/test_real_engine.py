"""A short story with the real engine: LiteMedSAM in its process, from the rectangle to the segment and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from effect.conftest import EffectFixture
from MedSAMSlicerLib.engine.masks import dice

pytest.importorskip("torch", reason="the engine needs torch")
FIRST, LAST = 9, 12


@pytest.fixture
def effect_fixture(host: Any, repository: Path, litemedsam_weights: Path) -> EffectFixture:
    from MedSAMSlicerLib.panel import settings
    from MedSAMSlicerLib.processes.qprocess_transport import inference_process

    # OpenVINO would first be made to know the network, which takes longer than this story.
    settings.set_device("cpu", "torch")
    made = EffectFixture(host, repository)
    made.effect.make_transport = inference_process
    made.centre()
    parameter = made.effect.scriptedEffect.setParameter
    for name, value in (("EncodeAhead", "0"), ("ReachPlane", "K"), ("ReachStart", FIRST), ("ReachEnd", LAST)):
        parameter(name, str(value))
    parameter("Reach", "range")
    return made


def test_a_ball_is_contoured_by_litemedsam_previewed_applied_and_undone(effect_fixture: EffectFixture) -> None:
    user, host = effect_fixture.host.user, effect_fixture.host
    assert user.press("Red", effect_fixture.at("Red", -1))
    assert user.move("Red", effect_fixture.at("Red", 1))
    host.wait_until(
        lambda: effect_fixture.contouring.rectangle.image is not None or effect_fixture.contouring.problem, 60
    )
    assert effect_fixture.contouring.problem is None
    assert dice(effect_fixture.contouring.rectangle.image.values[0] > 0, effect_fixture.truth[10]) > 0.9
    assert user.release("Red", effect_fixture.at("Red", 1))
    host.wait_until(lambda: not effect_fixture.contouring.running, 60)
    assert effect_fixture.ui.problemLabel.text == ""
    result = effect_fixture.contouring.result
    assert [found.index for found in result] == list(range(FIRST, LAST + 1))
    assert all(0.5 < found.predicted_iou < 1.1 for found in result)
    wanted = effect_fixture.truth.copy()
    wanted[:FIRST] = wanted[LAST + 1 :] = False
    assert not effect_fixture.voxels().any()
    user.click(effect_fixture.ui.applyButton)
    assert (effect_fixture.voxels() == effect_fixture.result()).all() and dice(effect_fixture.voxels(), wanted) > 0.9
    host.editor.undo()
    host.clock.advance(100)
    assert not effect_fixture.voxels().any() and effect_fixture.ui.resultLabel.text.startswith("Undone")
