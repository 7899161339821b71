"""Resizing is that of the libraries which the authors used."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from MedSAMSlicerLib.engine.resize import (
    area_resize,
    longest_side_size,
    masks_resize,
    scores_resize,
    spline_resize,
)

GOLDEN = json.loads((Path(__file__).parents[1] / "data" / "area_resize.json").read_text())["sizes"]


@pytest.mark.parametrize("number", range(len(GOLDEN)))
def test_area_resizing_is_opencvs_to_the_last_bit(number: int) -> None:
    (rows, columns), size, checksum = GOLDEN[number]
    image = np.random.Generator(np.random.PCG64(number)).integers(0, 256, (rows, columns), dtype=np.uint8)
    assert longest_side_size(rows, columns, 256) == tuple(size)
    assert zlib.crc32(np.ascontiguousarray(area_resize(image, *size)).tobytes()) == checksum


def test_colour_is_resized_channel_by_channel() -> None:
    image = np.random.Generator(np.random.PCG64(1)).integers(0, 256, (90, 70, 3), dtype=np.uint8)
    resized = area_resize(image, 40, 31)
    for channel in range(3):
        assert np.array_equal(resized[..., channel], area_resize(image[..., channel], 40, 31))


def test_an_image_of_the_right_size_stays_as_it_is_and_is_not_shared() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    resized = area_resize(image, 3, 4)
    assert np.array_equal(resized, image) and not np.shares_memory(resized, image)


def test_a_needle_keeps_at_least_one_pixel() -> None:
    assert longest_side_size(1000, 1, 256) == (256, 1)


def test_spline_resizing_stays_in_the_images_range() -> None:
    image = np.zeros((20, 20), np.uint8)
    image[8:12, 8:12] = 255
    resized = spline_resize(image, 64, 64)
    assert resized.min() == 0 and resized.max() == 255
    assert resized[32, 32] > 200 and resized[2, 2] == 0


def test_spline_resizing_smooths_before_it_shrinks() -> None:
    checkerboard = (np.indices((300, 300)).sum(axis=0) % 2 * 255).astype(np.uint8)
    shrunk = spline_resize(checkerboard, 100, 100)
    assert np.ptp(shrunk[10:-10, 10:-10].astype(int)) < 90, "without smoothing, pixels jump between 0 and 255"


def torch_resize(values: np.ndarray, *target: int) -> np.ndarray:
    return torch.nn.functional.interpolate(torch.from_numpy(values)[None], target, mode="bilinear")[0].numpy()


@pytest.mark.parametrize("target", [(512, 512), (180, 203), (43, 41), (1, 7), (37, 300)])
def test_bilinear_resizing_is_torchs(target: tuple[int, int]) -> None:
    values = np.random.default_rng(3).normal(0, 5, (2, 64, 90)).astype(np.float32)
    theirs = torch_resize(values, *target)
    ours = scores_resize(values, *target)
    assert ours.dtype == np.float32 and ours.shape == (2, *target)
    positive = theirs > 0
    assert np.abs(ours - theirs)[positive].max() < 2e-4
    assert np.array_equal(ours > 0, positive)


@pytest.mark.parametrize("target", [(512, 512), (180, 203), (43, 41), (1, 7), (64, 90)])
@pytest.mark.parametrize("where", [(10, 30, 50, 70), (0, 64, 0, 90), (0, 1, 89, 90), (0, 0, 0, 0)])
def test_scores_are_resized_only_where_an_object_is(target: tuple[int, int], where: tuple[int, ...]) -> None:
    row, end_row, column, end_column = where
    scores = -np.abs(np.random.default_rng(3).normal(3, 2, (2, 64, 90))).astype(np.float32)
    scores[:, row:end_row, column:end_column] *= -1
    whole, part = torch_resize(scores, *target), scores_resize(scores, *target)
    assert np.array_equal(whole > 0, part > 0)
    inside = whole > 0
    assert np.allclose(whole[inside], part[inside], rtol=0, atol=2e-4)
    masks = masks_resize(scores, *target)
    assert masks.dtype == bool and np.array_equal(masks, inside)
    # And once more, as SAM does.
    again, from_part = torch_resize(whole, 77, 91), scores_resize(part, 77, 91)
    assert np.array_equal(again > 0, from_part > 0)
