"""Slices of an array are where the words say they are."""

from __future__ import annotations

import numpy as np
import pytest

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.engine.stack import ArrayStack, default_axis, from_slices_first

VOXELS = np.arange(2 * 3 * 4).reshape(2, 3, 4)  # (k, j, i)


@pytest.mark.parametrize(
    ("axis", "shape", "spacing"),
    [("K", (2, 3, 4), (3.0, 2.0, 1.0)), ("J", (3, 2, 4), (2.0, 3.0, 1.0)), ("I", (4, 2, 3), (1.0, 3.0, 2.0))],
)
def test_slices_rows_and_columns_along_each_axis(axis: str, shape: tuple, spacing: tuple) -> None:
    stack = ArrayStack(VOXELS, (1.0, 2.0, 3.0), axis)
    assert (stack.shape, stack.spacing) == (shape, spacing)
    picked = {"K": VOXELS[1], "J": VOXELS[:, 1], "I": VOXELS[:, :, 1]}[axis]
    assert np.array_equal(stack.slice_values(1), picked)
    assert np.shares_memory(stack.slice_values(1), VOXELS), "a slice is a view, not a copy"


@pytest.mark.parametrize("axis", ["I", "J", "K"])
def test_there_and_back_again(axis: str) -> None:
    stack = ArrayStack(VOXELS, (1.0, 1.0, 1.0), axis)
    slices = np.stack([stack.slice_values(n) for n in range(stack.shape[0])])
    assert np.array_equal(from_slices_first(slices, axis), VOXELS)


def test_an_unknown_axis_is_refused() -> None:
    with pytest.raises(InputError, match="choose I, J or K"):
        ArrayStack(VOXELS, (1.0, 1.0, 1.0), "Z")


def test_propagation_runs_along_the_coarsest_spacing() -> None:
    assert default_axis((1.0, 1.0, 3.0), np.eye(3)) == "K"
    assert default_axis((1.0, 4.0, 3.0), np.eye(3)) == "J"


def test_an_image_of_one_slice_has_that_slice_whatever_its_thickness() -> None:
    assert default_axis((2.0, 2.0, 1.0), np.eye(3), (64, 64, 1)) == "K"
    assert default_axis((1.0, 2.0, 4.0), np.eye(3), (1, 64, 64)) == "I"
    assert default_axis((2.0, 2.0, 1.0), np.eye(3), (1, 1, 1)) == default_axis((2.0, 2.0, 1.0), np.eye(3))


def test_among_equal_spacings_along_the_axis_nearest_to_superior_inferior() -> None:
    sagittal = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]], float)  # I runs backwards, J upwards, K sideways
    assert default_axis((1.0, 1.0, 1.0), np.eye(3)) == "K"
    assert default_axis((1.0, 1.0, 1.001), sagittal) == "J"
    tilted = np.array([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]])
    assert default_axis((2.0, 2.0, 2.0), tilted) == "K"
