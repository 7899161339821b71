"""Every family from a volume in the scene to a segment in the same place, and back by Undo."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from MedSAMSlicerLib.engine.errors import Cancelled, InputError
from MedSAMSlicerLib.engine.intensity import Window, WindowedStack
from MedSAMSlicerLib.engine.model_choice import ModelChoice, RunInfo
from MedSAMSlicerLib.engine.models.catalogue import CATALOGUE
from MedSAMSlicerLib.engine.prompts import Box, Points, StackPrompt
from MedSAMSlicerLib.engine.serving.in_process_client import InProcessClient
from MedSAMSlicerLib.engine.serving.service import SegmentationService
from MedSAMSlicerLib.engine.stack import ArrayStack
from support.every_family import EVERY, combinations
from support.session_cases import CallbackRecorder, Case, drive

BOX = Box(2, 2, 11, 9)
GEOMETRIES = ["oblique", "axes permuted", "left-handed and oblique", "chain of parents with shear"]


@pytest.fixture
def choice(key: str, small_choice: Callable[[str], ModelChoice]) -> ModelChoice:
    return small_choice(key)


@pytest.fixture
def make(scene_builder: Any, segment_in: Any, choice: ModelChoice) -> Callable[[str], Case]:
    def make(geometry: str = "oblique") -> Case:
        one = Case(scene_builder, InProcessClient(SegmentationService()), segment_in, geometry, axis="K", choice=choice)
        one.session.set_prompt(StackPrompt.from_box3d(1, 7, BOX))
        return one

    return make


@EVERY
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_the_segment_lies_on_the_voxels_that_the_model_named(
    key: str, geometry: str, make: Callable[..., Case], choice: ModelChoice
) -> None:
    """However the volume lies in the world: as if the engine had been given its voxels alone."""
    one = make(geometry)
    source = WindowedStack(ArrayStack(one.voxels, (0.8, 1.3, 3.1), "K"), Window(0, 255, "as it is"))
    expected = np.zeros(one.voxels.shape, bool)
    for result in SegmentationService().segment(choice, source, one.session.prompt, RunInfo()):
        expected[result.index] = result.mask
    recorded = CallbackRecorder().start(one.session)
    drive(one.session, lambda: recorded.over)
    assert not recorded.failed and one.untouched()
    one.session.apply()
    np.testing.assert_array_equal(one.segment(), expected)
    assert not one.segment("neighbour").any()
    one.session.writer.logic.Undo()
    assert not one.segment().any()


@EVERY
def test_a_cancelled_run_leaves_the_segmentation_as_it_was(key: str, make: Callable[..., Case]) -> None:
    one = make()
    recorded = CallbackRecorder()
    one.session.start(
        lambda progress: one.session.cancel() if progress.done == 2 else None,
        recorded.finished.append,
        recorded.failed.append,
    )
    drive(one.session, lambda: recorded.over)
    assert [type(error) for error in recorded.failed] == [Cancelled]
    assert one.untouched()


@EVERY
def test_key_slices_take_what_the_model_takes_and_refuse_the_rest_by_name(key: str, make: Callable[..., Case]) -> None:
    one = make()
    disc = one.truth[4]
    clicks = Points(((6.5, 5), (1, 1)), (True, False))
    allowed = combinations(key, BOX, clicks, disc)
    for name, prompt in combinations("sam_med2d", BOX, clicks, disc).items():
        one.session.set_prompt(StackPrompt({4: prompt}, (3, 5)))
        one.session.start()
        if name in allowed:
            assert 4 in one.session.wait(), name
        else:
            with pytest.raises(InputError, match=re.escape(f"{CATALOGUE[key].title} was not trained for")):
                one.session.wait()
    assert one.untouched()
