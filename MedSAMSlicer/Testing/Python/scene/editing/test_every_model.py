"""Every family from a volume in the scene to a segment in the same place, and back by Undo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from MedSAMSlicerLib.engine.errors import Cancelled, InputError
from MedSAMSlicerLib.engine.intensity import WindowedStack
from MedSAMSlicerLib.engine.model_choice import ModelChoice, RunInfo
from MedSAMSlicerLib.engine.models.catalogue import CATALOGUE
from MedSAMSlicerLib.engine.prompts import Points, StackPrompt
from MedSAMSlicerLib.engine.serving.service import SegmentationService
from MedSAMSlicerLib.engine.stack import ArrayStack
from MedSAMSlicerLib.scene.writing.segment_editor import LogicEditor
from MedSAMSlicerLib.scene.writing.segment_writer import SegmentWriter
from support.ball_in_scene import BOX, WINDOW, BallInScene, CallbackRecorder
from support.every_family import ONE_OF_EACH_FAMILY, combinations
from support.in_process_client import InProcessClient

PROMPT = StackPrompt.from_box3d(1, 7, BOX)
# Every geometry with one family, and every family in one geometry: neither knows of the other.
PLACES = [("medsam", name) for name in ("axes permuted", "left-handed and oblique", "chain of parents with shear")]
PLACES += [(key, "oblique") for key in ("litemedsam", "medsam", "mobile_sam", "sam_vit_b", "sam_med2d")]


@pytest.fixture
def choice(key: str, small_choice: Callable[[str], ModelChoice]) -> ModelChoice:
    return small_choice(key)


@pytest.fixture
def make(scene_builder: Any, segment_in: Any) -> Callable[[str], BallInScene]:
    def make(geometry: str = "oblique") -> BallInScene:
        return BallInScene(scene_builder, InProcessClient(SegmentationService()), segment_in, geometry)

    return make


@pytest.mark.parametrize(("key", "geometry"), PLACES)
def test_the_segment_lies_on_the_voxels_that_the_model_named(
    key: str, geometry: str, make: Callable[..., BallInScene], choice: ModelChoice
) -> None:
    """However the volume lies in the world: as if the engine had been given its voxels alone."""
    ball = make(geometry)
    source = WindowedStack(ArrayStack(ball.voxels, (0.8, 1.3, 3.1), "K"), WINDOW)
    expected = np.zeros(ball.voxels.shape, bool)
    for result in SegmentationService().segment(choice, source, PROMPT, RunInfo()):
        expected[result.index] = result.mask
    recorder = ball.run(PROMPT, choice=choice)
    assert not recorder.failed and ball.untouched()
    editor = LogicEditor(ball.segmentation, "tumour", ball.volume)
    mask = ball.stack().to_volume(recorder.finished[0].to_stack())
    SegmentWriter(ball.segmentation, "tumour", editor).write(mask, ball.volume)
    np.testing.assert_array_equal(ball.segment(), expected)
    assert not ball.segment("neighbour").any()
    editor.logic.Undo()
    assert not ball.segment().any()


@ONE_OF_EACH_FAMILY
def test_a_cancelled_run_leaves_the_segmentation_as_it_was(
    key: str, make: Callable[..., BallInScene], choice: ModelChoice
) -> None:
    ball, recorder = make(), CallbackRecorder()
    run = ball.start(recorder, choice=choice, on_progress=lambda progress: run.cancel() if progress.done == 2 else None)
    ball.wait(lambda: recorder.over)
    assert [type(error) for error in recorder.failed] == [Cancelled]
    assert ball.untouched()


@ONE_OF_EACH_FAMILY
def test_key_slices_take_what_the_model_takes_and_refuse_the_rest_by_name(
    key: str, make: Callable[..., BallInScene], choice: ModelChoice
) -> None:
    ball = make()
    disc = ball.truth[4]
    clicks = Points(((6.5, 5), (1, 1)), (True, False))
    allowed = combinations(key, BOX, clicks, disc)
    for name, prompt in combinations("sam_med2d", BOX, clicks, disc).items():
        recorder = ball.run(StackPrompt({4: prompt}, (3, 5)), choice=choice)
        if name in allowed:
            assert 4 in recorder.finished[0], name
        else:
            assert isinstance(recorder.failed[0], InputError)
            assert str(recorder.failed[0]).startswith(f"{CATALOGUE[key].title} was not trained for")
    assert ball.untouched()
