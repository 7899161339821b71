"""Results are written in one undo step, under Segment Editor's rules, and follow Undo and Redo."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import slicer
import slicer.util


def test_apply_undo_redo(bench: Any) -> None:
    bench.drag()
    bench.host.hands.click(bench.ui.applyButton)
    assert (bench.voxels() == bench.truth).all()
    assert not bench.visible("result")
    assert bench.ui.resultLabel.text.startswith("Applied")
    bench.host.editor.undo()
    assert not bench.voxels().any()
    bench.host.clock.advance(100)
    assert bench.ui.resultLabel.text.startswith("Undone, not in the segment") and bench.visible("result")
    bench.host.hands.click(bench.ui.applyButton)
    assert (bench.voxels() == bench.truth).all()
    bench.host.editor.undo()
    assert not bench.voxels().any()
    bench.host.editor.redo()
    assert (bench.voxels() == bench.truth).all()
    bench.host.clock.advance(100)
    assert bench.ui.resultLabel.text.startswith("Applied") and not bench.visible("result")
    assert not bench.voxels("other").any()


def test_undo_is_noticed_while_the_effect_is_not_active(bench: Any) -> None:
    bench.drag()
    bench.effect.apply()
    bench.host.editor.setActiveEffect(None)
    bench.host.editor.undo()
    bench.host.clock.advance(100)
    bench.host.editor.setActiveEffectByName("MedSAM")
    assert bench.ui.resultLabel.text.startswith("Undone") and bench.visible("result")


def test_undo_of_two_writes_is_noticed_step_by_step(bench: Any) -> None:
    states = []
    bench.drag()
    bench.effect.apply()
    bench.drag(half=0.2)
    bench.effect.apply()
    assert bench.voxels().sum() < bench.truth.sum()
    for step in (bench.host.editor.undo, bench.host.editor.undo, bench.host.editor.redo, bench.host.editor.redo):
        step()
        bench.host.clock.advance(100)
        states.append(bench.ui.resultLabel.text.split(":")[0])
    assert states == ["Undone, not in the segment"] * 3 + ["Applied"]


def test_edits_beside_what_was_applied_do_not_look_like_undo(bench: Any) -> None:
    bench.drag()
    bench.effect.apply()
    corner = bench.truth.copy()
    corner[0, :3, :3] = True
    corner[10, 30, 40] = False
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        corner.astype(np.uint8), bench.segmentation, "tumour", bench.volume
    )
    bench.host.clock.advance(100)
    assert bench.ui.resultLabel.text.startswith("Applied")


def test_a_correction_after_undo_leaves_alone_what_was_drawn_since(bench: Any) -> None:
    bench.drag()
    bench.effect.apply()
    bench.host.editor.undo()
    bench.host.clock.advance(100)
    own = np.zeros_like(bench.truth)
    own[10, 28:33, 30:50] = True
    slicer.util.updateSegmentBinaryLabelmapFromArray(own.astype(np.uint8), bench.segmentation, "tumour", bench.volume)
    bench.drag(half=0.2)
    corrected = bench.result()
    bench.effect.apply()
    assert (bench.voxels() == (corrected | own)).all()


def test_apply_at_once(bench: Any) -> None:
    bench.effect.scriptedEffect.setParameter("ApplyAtOnce", "1")
    bench.drag()
    bench.host.wait_until(lambda: bench.contouring.kept.applied)
    assert (bench.voxels() == bench.truth).all()


@pytest.mark.parametrize("mode", ["replace", "add"])
def test_where_nothing_was_found_nothing_is_applied_at_once(bench: Any, mode: str) -> None:
    """To replace a segment by nothing is for whoever clicks 'Apply' to decide."""
    bench.drag()
    bench.effect.apply()
    bench.effect.discard()
    bench.effect.scriptedEffect.setParameter("ApplyAtOnce", "1")
    bench.effect.scriptedEffect.setParameter("Mode", mode)
    assert bench.host.hands.drag("Red", bench.xy("Red", 10, 3, 3), bench.xy("Red", 10, 12, 12))
    bench.finish()
    assert "Nothing was found there" in bench.ui.resultLabel.text
    assert (bench.voxels() == bench.truth).all()
    bench.host.hands.click(bench.ui.applyButton)
    assert bench.voxels().any() == (mode == "add")


def test_a_correction_takes_the_place_of_what_was_applied_and_of_nothing_else(bench: Any) -> None:
    bench.effect.scriptedEffect.setParameter("Reach", "slice")
    bench.drag(half=0.3)
    bench.effect.apply()
    own = bench.voxels()
    bench.effect.discard()
    bench.effect.scriptedEffect.setParameter("Reach", "object")
    bench.drag()
    bench.effect.apply()
    assert (bench.voxels() == bench.truth).all()
    bench.drag(half=0.2)
    corrected = bench.result()
    assert corrected.sum() < bench.truth.sum()
    bench.effect.apply()
    assert (bench.voxels() == (corrected | own)).all()
    bench.host.editor.undo()
    assert (bench.voxels() == bench.truth).all()


def test_a_second_object_is_added_to_the_first(bench: Any) -> None:
    bench.effect.scriptedEffect.setParameter("Reach", "slice")
    bench.drag(half=0.3)
    bench.effect.apply()
    first = bench.voxels()
    node = bench.host.hands.view("Red").mrmlSliceNode()
    node.SetSliceOffset(node.GetSliceOffset() + 6)
    bench.drag(half=0.3)
    second = bench.result()
    bench.effect.apply()
    assert first.any() and second.any() and not (first & second).any()
    assert (bench.voxels() == (first | second)).all()


def test_replace_and_remove(bench: Any) -> None:
    bench.drag()
    bench.effect.apply()
    bench.effect.discard()
    bench.effect.scriptedEffect.setParameter("Mode", "replace")
    bench.drag(half=0.4)
    small = bench.result()
    bench.effect.apply()
    assert (bench.voxels() == small).all() and small.any() and small.sum() < bench.truth.sum()
    bench.effect.discard()
    bench.effect.scriptedEffect.setParameter("Mode", "remove")
    bench.drag()
    bench.effect.apply()
    assert not bench.voxels().any()


def test_masking_by_another_segment_is_respected(bench: Any) -> None:
    bench.drag(half=0.4)
    bench.effect.apply()
    first = bench.voxels()
    bench.host.editor.setCurrentSegmentID("other")
    assert bench.contouring.segment_id == "other" and bench.ui.keysTable.rowCount == 0
    node = bench.host.editor.mrmlSegmentEditorNode()
    node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedOutsideAllSegments)
    bench.drag()
    bench.effect.apply()
    assert (bench.voxels("other") == (bench.truth & ~first)).all()
    assert (bench.voxels() == first).all()
