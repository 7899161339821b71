"""'Contour all frames' in the effect."""

from __future__ import annotations

import numpy as np
import slicer.util

from effect.conftest import EffectFixture
from support.frames import Frames, voxels


def test_without_a_sequence_there_is_no_button(effect_fixture: EffectFixture) -> None:
    effect_fixture.drag()
    assert not effect_fixture.ui.framesButton.visible


def test_all_frames_are_contoured_with_one_click(effect_fixture: EffectFixture) -> None:
    ui, host = effect_fixture.ui, effect_fixture.host
    moved = np.roll(voxels(effect_fixture.volume), 2, axis=2)
    frames = Frames(effect_fixture.volume, moved)
    effect_fixture.drag()
    assert ui.framesButton.visible and ui.framesButton.enabled
    host.user.click(ui.framesButton)
    assert ui.cancelButton.enabled and not ui.framesButton.enabled
    assert ui.noteLabel.text.startswith("Contouring all frames: 1 of 2")
    host.wait_until(lambda: not effect_fixture.contouring.frames.running)
    assert "2 frames were contoured" in ui.noteLabel.text and not ui.cancelButton.enabled
    [node] = [one for one in slicer.util.getNodesByClass("vtkMRMLSegmentationNode") if one.GetName() == "tumour frames"]
    for frame, truth in ((1, np.roll(effect_fixture.truth, 2, axis=2)), (0, effect_fixture.truth)):
        frames.show(frame)
        segment_id = node.GetSegmentation().GetNthSegmentID(0)
        found = slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, effect_fixture.volume)
        np.testing.assert_array_equal(np.asarray(found) > 0, truth)
    assert effect_fixture.nothing_is_written, "the selected segmentation is left alone"
