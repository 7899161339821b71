"""The voxels that a run has read are recognised, in a copy too, and told apart from others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from MedSAMSlicerLib.scene.volume.content import Content, content_time
from MedSAMSlicerLib.scene.volume.slice_stack import SliceStack
from support.frames import edit, voxels

VALUES = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)


@pytest.mark.parametrize("stack_axis", ["I", "J", "K"])
def test_a_copy_is_recognised_and_other_voxels_are_not(scene_builder: Any, stack_axis: str) -> None:
    volume, copy = scene_builder.volume(VALUES), scene_builder.volume(VALUES)
    read = Content(SliceStack(volume, stack_axis)).read([1, 2])
    assert content_time(volume) != content_time(copy)
    assert read.are_in(SliceStack(volume, stack_axis)) and read.are_in(SliceStack(copy, stack_axis))
    edit(copy, VALUES + (VALUES[2, 2, 2] == VALUES))
    assert not read.are_in(SliceStack(copy, stack_axis))


def test_only_the_slices_that_were_read_count(scene_builder: Any) -> None:
    volume = scene_builder.volume(VALUES)
    read = Content(SliceStack(volume, "K")).read([1, 2])
    values = VALUES.copy()
    values[3] = 0
    edit(volume, values)
    assert read.are_in(SliceStack(volume, "K"))


def test_voxels_that_were_edited_meanwhile_cannot_be_recognised(scene_builder: Any) -> None:
    volume = scene_builder.volume(VALUES)
    content = Content(SliceStack(volume, "K"))
    edit(volume, voxels(volume) + 1)
    assert content.read([1]) is None


def test_slices_that_were_read_during_a_run_are_not_read_again_at_its_end(scene_builder: Any) -> None:
    volume, copy = scene_builder.volume(VALUES), scene_builder.volume(VALUES)
    stack, read = SliceStack(volume, "K"), []
    slice_values = stack.slice_values
    stack.slice_values = lambda index: (read.append(index), slice_values(index))[1]
    content = Content(stack)
    for index in (2, 1):
        content.add(index)
    first = content.read([1, 2])
    assert read == [2, 1] and first.are_in(SliceStack(copy, "K"))
    # A correction keeps slices of the earlier result, and what is known of them.
    content = Content(stack, first)
    content.add(3)
    second = content.read([1, 2, 3])
    assert read == [2, 1, 3] and second.are_in(SliceStack(copy, "K"))
    edit(copy, VALUES + (VALUES[1, 2, 2] == VALUES))
    assert not second.are_in(SliceStack(copy, "K"))


def test_what_is_known_of_other_voxels_is_of_no_use(scene_builder: Any) -> None:
    volume = scene_builder.volume(VALUES)
    before = Content(SliceStack(volume, "K")).read([1, 2])
    edit(volume, voxels(volume) + 1)
    after = Content(SliceStack(volume, "K"), before).read([1, 2])
    assert after.are_in(SliceStack(scene_builder.volume(VALUES + 1), "K"))
    assert not after.are_in(SliceStack(scene_builder.volume(VALUES), "K"))
