"""Results that were not applied when the scene is saved or closed, or Slicer exits: a user is asked, a script is not."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import slicer.util

from support.frames import Frames, voxels


@pytest.fixture
def by_user(monkeypatch: pytest.MonkeyPatch, effect_fixture: Any) -> Any:
    """What happens comes from a user who acts in Slicer's windows: no Python function has called Slicer."""
    monkeypatch.setattr("MedSAMSlicerLib.effect.unapplied.is_script", lambda _frame: False)
    return effect_fixture


def answer(effect_fixture: Any, *names: str) -> None:
    import qt

    effect_fixture.host.answers.extend(getattr(qt.QMessageBox, name) for name in names)


def save_scene(folder: Path) -> bool:
    return bool(slicer.app.coreIOManager().saveNodes("SceneFile", {"fileName": str(folder / "scene.mrb")}))


def two_results(effect_fixture: Any) -> None:
    """In the segment `tumour`, which is not selected any more, and in `other`."""
    effect_fixture.drag()
    effect_fixture.host.editor.setCurrentSegmentID("other")
    effect_fixture.drag(half=0.4)


@pytest.mark.parametrize(
    ("said", "exits", "written"), [("Yes", True, True), ("No", True, False), ("Cancel", False, False)]
)
def test_before_slicer_exits_the_user_can_apply(by_user: Any, said: str, exits: bool, written: bool) -> None:
    by_user.drag()
    answer(by_user, said)
    assert slicer.util.mainWindow().close() == exits
    assert by_user.voxels().any() == written
    assert by_user.host.shown[-1].text.startswith("Not applied yet: tumour.")


def test_what_the_user_has_edited_meanwhile_is_left_when_slicer_exits(by_user: Any) -> None:
    by_user.effect.scriptedEffect.setParameter("Mode", "replace")
    by_user.drag()
    by_user.effect.apply()
    by_user.effect.run()
    by_user.finish()
    edited = by_user.voxels()
    edited[8, :, 40:] = False
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        edited.astype(np.uint8), by_user.segmentation, "tumour", by_user.volume
    )
    answer(by_user, "Yes")
    assert slicer.util.mainWindow().close()
    assert (by_user.voxels() == edited).all()


def test_without_results_to_apply_nothing_is_asked(by_user: Any, tmp_path: Path) -> None:
    by_user.drag()
    by_user.effect.apply()
    assert save_scene(tmp_path)
    by_user.host.clock.advance(100)
    assert slicer.util.mainWindow().close()
    by_user.host.scene.Clear(0)
    assert not by_user.host.shown


def test_the_results_of_all_segments_are_applied(by_user: Any) -> None:
    two_results(by_user)
    answer(by_user, "Yes")
    assert slicer.util.mainWindow().close()
    assert by_user.host.shown[-1].text.startswith("Not applied yet: tumour, other.")
    assert by_user.voxels("other").any() and by_user.voxels().any()
    assert ((by_user.voxels() | by_user.voxels("other")) == by_user.truth).all()
    assert by_user.ui.resultLabel.text.startswith("Applied") and "tumour" not in by_user.ui.noteLabel.text


def test_slicer_stays_open_if_a_result_cannot_be_applied(by_user: Any) -> None:
    by_user.drag()
    node = by_user.host.editor.mrmlSegmentEditorNode()
    node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedInsideSingleSegment)
    node.SetMaskSegmentID("other")
    answer(by_user, "Yes", "Ok")
    assert not slicer.util.mainWindow().close()
    assert "asking keeps all" in by_user.host.shown[-1].text and by_user.nothing_is_written


@pytest.mark.parametrize(("said", "exits"), [("Yes", True), ("No", True), ("Cancel", False)])
def test_an_outdated_result_is_not_lost_without_a_question(by_user: Any, said: str, exits: bool) -> None:
    frames = Frames(by_user.volume, np.roll(voxels(by_user.volume), 3, axis=2))
    by_user.drag()
    frames.show(1)
    answer(by_user, said)
    assert slicer.util.mainWindow().close() == exits
    text = by_user.host.shown[-1].text
    assert text.startswith("Not applied yet: tumour.") and "Outdated: tumour. The volume shows another frame" in text
    assert (by_user.voxels() == (by_user.truth if said == "Yes" else False)).all()


def test_slicer_stays_open_if_the_volume_has_another_size(by_user: Any) -> None:
    by_user.drag()
    smaller = slicer.util.addVolumeFromArray(np.zeros((5, 6, 7), np.uint8))
    by_user.volume.SetAndObserveImageData(smaller.GetImageData())
    answer(by_user, "Yes", "Ok")
    assert not slicer.util.mainWindow().close()
    question, failure = (one.text for one in by_user.host.shown)
    assert "Cannot be applied" in question and "Outdated" not in question
    assert failure and by_user.nothing_is_written


def test_an_outdated_result_is_missing_in_what_was_saved(by_user: Any, tmp_path: Path) -> None:
    frames = Frames(by_user.volume, np.roll(voxels(by_user.volume), 3, axis=2))
    by_user.drag()
    frames.show(1)
    answer(by_user, "No")
    save_scene(tmp_path)
    by_user.host.clock.advance(100)
    assert "Outdated: tumour." in by_user.host.shown[0].text and by_user.nothing_is_written
    frames.show(0)
    answer(by_user, "No")
    save_scene(tmp_path)
    by_user.host.clock.advance(100)
    assert "Outdated" not in by_user.host.shown[1].text


def test_the_question_names_hidden_segments(by_user: Any) -> None:
    two_results(by_user)
    by_user.segmentation.GetDisplayNode().SetSegmentVisibility("tumour", False)
    answer(by_user, "No")
    assert slicer.util.mainWindow().close()
    assert by_user.host.shown[-1].text.endswith("Hidden: tumour.")


def test_notes_say_what_was_written_into_each_segment(by_user: Any, tmp_path: Path) -> None:
    two_results(by_user)
    answer(by_user, "Yes")
    save_scene(tmp_path)
    by_user.host.clock.advance(100)
    count = by_user.voxels("other").sum()
    assert by_user.ui.noteLabel.text == f"{count} voxels were written."
    by_user.host.editor.setCurrentSegmentID("tumour")
    assert f"{by_user.truth.sum()} voxels were written." in by_user.ui.noteLabel.text


@pytest.mark.parametrize(("said", "exits"), [("Yes", True), ("Cancel", False)])
def test_before_slicer_exits_during_a_run_the_user_is_asked(by_user: Any, said: str, exits: bool) -> None:
    by_user.start()
    answer(by_user, said)
    assert slicer.util.mainWindow().close() == exits
    assert by_user.host.shown[-1].text.startswith("Still being contoured: tumour.") and by_user.nothing_is_written


def test_what_was_saved_without_them_is_told_once_and_they_can_be_applied(by_user: Any, tmp_path: Path) -> None:
    by_user.drag()
    segmentation, volume = ({"fileName": str(tmp_path / f"{n}.nrrd"), "nodeID": node.GetID()} for n, node in enumerate(
        (by_user.segmentation, by_user.volume)
    ))  # fmt: skip
    slicer.app.coreIOManager().saveNodes("NodeFile", volume)
    by_user.host.clock.advance(100)
    assert not by_user.host.shown, "the volume lacks nothing"
    answer(by_user, "Yes")
    slicer.app.coreIOManager().saveNodes("NodeFile", segmentation)
    save_scene(tmp_path)
    by_user.host.clock.advance(100)
    assert len(by_user.host.shown) == 1 and "not in what was saved" in by_user.host.shown[0].text
    assert (by_user.voxels() == by_user.truth).all()
    by_user.host.editor.undo()
    assert not by_user.voxels().any()


@pytest.mark.parametrize("said", ["Yes", "No"])
def test_before_the_scene_is_closed_the_user_can_apply_and_save(by_user: Any, said: str) -> None:
    by_user.drag()
    answer(by_user, said)
    saved = []
    if said == "Yes":
        by_user.host.answers.append(lambda: saved.append(by_user.voxels()) or True)
    by_user.host.scene.Clear(0)
    by_user.host.clock.advance(100)
    assert [(voxels == by_user.truth).all() for voxels in saved] == [True] * (said == "Yes")
    assert not by_user.host.answers and by_user.contouring is None


def test_a_script_is_never_asked(effect_fixture: Any, tmp_path: Path) -> None:
    effect_fixture.drag()
    assert save_scene(tmp_path)
    effect_fixture.host.clock.advance(100)
    assert slicer.util.mainWindow().close()
    effect_fixture.host.scene.Clear(0)
    assert not effect_fixture.host.shown


def test_an_effect_that_was_cleaned_up_asks_nothing(by_user: Any) -> None:
    by_user.drag()
    by_user.effect.cleanup()
    assert slicer.util.mainWindow().close() and not by_user.host.shown


def test_a_call_without_python_above_it_is_a_users(effect_fixture: Any) -> None:
    from MedSAMSlicerLib.effect.unapplied import is_script

    frame: Any = inspect.currentframe()
    assert is_script(frame)
    while frame.f_back is not None:
        frame = frame.f_back
    assert not is_script(frame)
