"""Which part of which slice is encoded, and how near the masks are to those of whole slices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from MedSAMSlicerLib.engine.inference.predictor import Predictor, load_predictor
from MedSAMSlicerLib.engine.masks import dice
from MedSAMSlicerLib.engine.model_choice import ModelChoice
from MedSAMSlicerLib.engine.prompts import Box, StackPrompt
from MedSAMSlicerLib.engine.propagation.propagate import propagate
from MedSAMSlicerLib.engine.propagation.settings import InBoxSettings, PropagationSettings
from MedSAMSlicerLib.engine.runtimes.openvino_runtime import OpenVINORuntime
from MedSAMSlicerLib.engine.stack import SliceSource
from support.shapes import ellipsoid, stack_of

SHAPE = (9, 256, 256)
BALL = ellipsoid(SHAPE, (4, 112, 112), (4.6, 11, 10))
SOURCE = stack_of(BALL, (1.0, 1.0, 5.0))
IN_PARTS = PropagationSettings(in_box=InBoxSettings(fewest_in_parts=6))
WHOLE, PART = (256, 256), (168, 168)


@pytest.fixture
def predictor(litemedsam_weights: Path) -> Predictor:
    return load_predictor(ModelChoice("litemedsam", str(litemedsam_weights), device="cpu", runtime="openvino"))[0]


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Sizes of the images that are encoded, in their order."""
    found: list[tuple[int, int]] = []
    encode_many = OpenVINORuntime.encode_many

    def counted(runtime: OpenVINORuntime, prepared: Sequence[np.ndarray]) -> list[np.ndarray]:
        found.extend((one.shape[1], one.shape[2]) for one in prepared)
        return encode_many(runtime, prepared)

    monkeypatch.setattr(OpenVINORuntime, "encode_many", counted)
    return found


def segmented(
    predictor: Predictor,
    prompt: StackPrompt,
    source: SliceSource = SOURCE,
    settings: PropagationSettings = IN_PARTS,
) -> np.ndarray:
    mask = np.zeros(source.shape, bool)
    for result in propagate(source, prompt, predictor, settings):
        mask[result.index] = result.mask
    return mask


def rectangle(index: int, ball: np.ndarray = BALL) -> Box:
    box = Box.from_mask(ball[index])
    assert box is not None
    return box


def test_in_a_box_one_slice_is_encoded_whole(predictor: Predictor, sizes: list[tuple[int, int]]) -> None:
    prompt = StackPrompt.from_box3d(0, 8, rectangle(4))
    mask = segmented(predictor, prompt)
    assert sizes == [WHOLE] + 8 * [PART]
    assert dice(mask, BALL) > 0.9
    # The same box, and another one in the same windows, find everything encoded.
    assert np.array_equal(segmented(predictor, prompt), mask)
    segmented(predictor, StackPrompt.from_box3d(0, 8, rectangle(4).padded(1, 1)))
    assert len(sizes) == 9


def test_a_short_box_is_encoded_whole(predictor: Predictor, sizes: list[tuple[int, int]]) -> None:
    segmented(predictor, StackPrompt.from_box3d(3, 5, rectangle(4)))
    assert sizes == 3 * [WHOLE]


def test_from_key_slices_whole_slices_are_encoded(predictor: Predictor, sizes: list[tuple[int, int]]) -> None:
    """Without a box errors pass on from slice to slice: parts cost too much accuracy."""
    segmented(predictor, StackPrompt({2: rectangle(2), 5: rectangle(5)}, (1, 6)))
    assert sizes == 6 * [WHOLE]


def test_by_default_whole_slices_are_encoded(predictor: Predictor, sizes: list[tuple[int, int]]) -> None:
    prompt = StackPrompt.from_box3d(1, 6, rectangle(4))
    whole = segmented(predictor, prompt, settings=PropagationSettings())
    assert sizes == 6 * [WHOLE]
    in_parts = segmented(predictor, prompt)
    assert sizes[6:] == 5 * [PART]
    assert dice(in_parts, whole) > 0.85


def test_a_preview_decodes_a_part_of_the_slice_that_is_encoded_once(
    predictor: Predictor, sizes: list[tuple[int, int]]
) -> None:
    image = SOURCE.slice_uint8(4)
    for shift in (0, 10, 70):
        box = Box(102 + shift, 101, 122 + shift, 123)
        part = predictor.part_around(box, 256, 256)
        assert part is not None
        quick = predictor.predict_prompt(image, StackPrompt({4: box}).slices[4], part=part)
        assert quick.low_res_logits.shape == WHOLE
        outside = np.ones(WHOLE, bool)
        outside[part.pixels] = False
        assert (quick.low_res_logits[outside] < 0).all()
        if not shift:
            assert dice(quick.mask, predictor.predict(image, box).mask) > 0.97
    assert sizes == [WHOLE]
