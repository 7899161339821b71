"""Colour pictures in the effect: contoured without a window, and shown in their colours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer.util

from effect.conftest import EffectFixture


@pytest.fixture
def effect_fixture(host: Any, repository: Path) -> EffectFixture:
    """An effect on one picture in colour, in which a disc is red."""
    made = EffectFixture(host, repository)
    rows, columns = np.indices((40, 44))
    made.truth = ((rows - 20) ** 2 + (columns - 22) ** 2 <= 81)[None]
    colours = np.where(made.truth[..., None], (200, 30, 60), (20, 120, 250)).astype(np.uint8)
    made.volume = slicer.util.addVolumeFromArray(colours, name="picture", nodeClassName="vtkMRMLVectorVolumeNode")
    made.segmentation = host.edit(made.volume, "tumour")
    host.show(made.volume)
    made.effect.scriptedEffect.setParameter("Window", "lung")
    return made


def test_a_picture_is_contoured_in_colour_and_written(effect_fixture: EffectFixture) -> None:
    ui, user = effect_fixture.ui, effect_fixture.host.user
    assert user.drag("Red", effect_fixture.xy("Red", 0, 7, 8), effect_fixture.xy("Red", 0, 33, 36))
    effect_fixture.finish()
    assert ui.problemLabel.text == ""
    assert not ui.windowComboBox.enabled
    assert "without a window" in ui.windowInUseLabel.text
    np.testing.assert_array_equal(effect_fixture.result(), effect_fixture.truth)
    user.click(ui.showInputButton)
    seen = effect_fixture.effect._overlays._views[0]._input[1]
    np.testing.assert_array_equal(seen.values[..., :3], slicer.util.arrayFromVolume(effect_fixture.volume))
    user.click(ui.applyButton)
    np.testing.assert_array_equal(effect_fixture.voxels(), effect_fixture.truth)


def test_the_window_can_be_chosen_again_for_a_grey_volume(effect_fixture: EffectFixture) -> None:
    grey = slicer.util.addVolumeFromArray(np.random.default_rng(1).normal(0, 300, (5, 40, 44)).astype(np.int16))
    effect_fixture.host.edit(grey, "tumour")
    effect_fixture.host.wait_until(lambda: effect_fixture.contouring.reader.window is not None)
    assert effect_fixture.ui.windowComboBox.enabled
    assert "lung" in effect_fixture.ui.windowInUseLabel.text
