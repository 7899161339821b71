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
from support.shapes import ellipsoid, stack_of

SHAPE = (9, 256, 256)
BALL = ellipsoid(SHAPE, (4, 112, 112), (4.6, 11, 10))
SOURCE = stack_of(BALL, (1.0, 1.0, 5.0))
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


def in_parts_from(fewest: int) -> PropagationSettings:
    return PropagationSettings(in_box=InBoxSettings(fewest_in_parts=fewest))


def segmented(
    predictor: Predictor, prompt: StackPrompt, settings: PropagationSettings = PropagationSettings()
) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    for result in propagate(SOURCE, prompt, predictor, settings):
        mask[result.index] = result.mask
    return mask


def rectangle(index: int) -> Box:
    box = Box.from_mask(BALL[index])
    assert box is not None
    return box


def test_which_part_of_which_slice_is_encoded(predictor: Predictor, sizes: list[tuple[int, int]]) -> None:
    prompt = StackPrompt.from_box3d(3, 5, rectangle(4))
    in_parts = segmented(predictor, prompt, settings=in_parts_from(3))
    assert sizes == [WHOLE, PART, PART], "the slice in the middle shows the surroundings of the others"
    # The same box, and another one in the same windows, find everything encoded.
    again = segmented(predictor, prompt, settings=in_parts_from(3))
    segmented(predictor, StackPrompt.from_box3d(3, 5, rectangle(4).padded(1, 1)), settings=in_parts_from(3))
    assert len(sizes) == 3 and np.array_equal(again, in_parts)

    whole = segmented(predictor, prompt)
    assert sizes[3:] == [WHOLE, WHOLE], "by default"
    assert dice(in_parts, whole) > 0.7
    assert np.array_equal(segmented(predictor, prompt, settings=in_parts_from(4)), whole), "a short box"
    # From key slices errors pass on from slice to slice: parts would cost too much accuracy.
    segmented(predictor, StackPrompt({3: rectangle(3), 5: rectangle(5)}, (3, 5)), settings=in_parts_from(1))
    assert len(sizes) == 5


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
