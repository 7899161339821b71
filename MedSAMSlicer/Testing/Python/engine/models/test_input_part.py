"""The part of a slice that LiteMedSAM encodes around a box."""

from __future__ import annotations

import numpy as np
import pytest

from MedSAMSlicerLib.engine.models.input_part import InputPart
from MedSAMSlicerLib.engine.models.litemedsam import FAMILY
from MedSAMSlicerLib.engine.prompts import Box


@pytest.mark.parametrize(
    ("box", "rows", "columns", "expected"),
    [
        # Windows of 56 pixels that reach at least 42 pixels beyond the box.
        (Box(60, 150, 100, 160), 256, 256, (14, 0, 42, 42)),
        # Never less than three of them: the one that is nearer is added.
        (Box(102, 101, 122, 123), 256, 256, (14, 14, 42, 42)),
        (Box(100, 100, 120, 120), 256, 256, (0, 0, 42, 42)),
        # The same object on a slice of twice the size.
        (Box(200, 200, 240, 240), 512, 512, (0, 0, 42, 42)),
        # At corners; the last window ends with the slice.
        (Box(0, 0, 10, 10), 256, 256, (0, 0, 42, 42)),
        (Box(240, 240, 255, 255), 256, 256, (28, 28, 36, 36)),
        # Beside a slice that is not square, the padding is not encoded.
        (Box(10, 10, 90, 240), 256, 100, (0, 0, 64, 25)),
    ],
)
def test_windows_around_the_box(box: Box, rows: int, columns: int, expected: tuple[int, int, int, int]) -> None:
    part = FAMILY.part_around(box, rows, columns)
    assert part is not None
    assert (part.row, part.column, part.rows, part.columns) == expected


def test_an_object_of_the_size_of_the_slice_needs_all_of_it() -> None:
    assert FAMILY.part_around(Box(20, 20, 235, 235), 256, 256) is None


@pytest.mark.parametrize("seed", range(20))
def test_the_part_holds_the_box_and_lies_in_the_slice(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows, columns = random.integers(20, 700, 2).tolist()
    x = np.sort(random.uniform(0, columns - 1, 2)).tolist()
    y = np.sort(random.uniform(0, rows - 1, 2)).tolist()
    part = FAMILY.part_around(Box(x[0], y[0], x[1], y[1]), rows, columns)
    if part is None:
        return
    ratio = 256 / max(rows, columns)
    down, across = part.pixels
    assert down.start <= y[0] * ratio and y[1] * ratio <= down.stop
    assert across.start <= x[0] * ratio and x[1] * ratio <= across.stop
    assert down.start % 56 == across.start % 56 == 0
    # Not beyond the last token that shows a pixel of the slice.
    assert down.stop < int(rows * ratio + 0.5) + 4 and across.stop < int(columns * ratio + 0.5) + 4


def test_what_is_cut_out_is_pasted_to_where_it_was() -> None:
    part = InputPart(row=2, column=5, rows=3, columns=4, pixels_per_token=4)
    whole = np.random.default_rng(0).random((3, 40, 40), np.float32)
    pasted = part.paste_logits(part.cut_input(whole)[None], 40, -10.0)[0]
    inside = np.zeros((40, 40), bool)
    inside[8:20, 20:36] = True
    assert np.array_equal(pasted[:, inside], whole[:, inside])
    assert (pasted[:, ~inside] == -10).all()
    embedding = whole[:, ::4, ::4]
    assert np.array_equal(part.cut_embedding(embedding), embedding[:, 2:5, 5:9])
