"""No family is a second-class citizen in whole stacks: points, masks and boxes, along each axis, once encoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.engine.inference.embedding_cache import DEFAULT_BYTES
from MedSAMSlicerLib.engine.inference.embedding_store import EmbeddingStore
from MedSAMSlicerLib.engine.inference.predictor import Predictor, load_predictor
from MedSAMSlicerLib.engine.model_choice import ModelChoice, RunInfo
from MedSAMSlicerLib.engine.models.catalogue import CATALOGUE
from MedSAMSlicerLib.engine.prompts import Box, Points, SlicePrompt, StackPrompt
from MedSAMSlicerLib.engine.results import Prediction, SliceResult
from MedSAMSlicerLib.engine.serving.service import SegmentationService
from MedSAMSlicerLib.engine.stack import SliceSource
from support.every_family import ONE_OF_EACH_FAMILY, combinations
from support.shapes import ellipsoid, stack_of

SHAPE = (5, 40, 52)
BALL = ellipsoid(SHAPE, (2, 20, 26), (3.5, 12, 14))
SOURCE = stack_of(BALL, (0.8, 1.3, 3.0))
BOX = Box(12, 8, 40, 32)
CLICKS = Points(((26, 20), (4, 4.5)), (True, False))


@pytest.fixture
def choice(key: str, small_choice: Callable[[str], ModelChoice]) -> ModelChoice:
    return small_choice(key)


def run(
    choice: ModelChoice, prompt: StackPrompt, source: SliceSource = SOURCE, service: SegmentationService | None = None
) -> tuple[dict[int, SliceResult], RunInfo]:
    info, found = RunInfo(), {}
    for result in (service or SegmentationService()).segment(choice, source, prompt, info):
        assert result.index not in found, "each slice once"
        found[result.index] = result
    return found, info


def predicted(predictor: Predictor, image: np.ndarray, prompt: SlicePrompt) -> Prediction:
    """What the model says of a slice, with the margin around boxes that key slices get."""
    if prompt.box is not None:
        prompt = replace(prompt, box=predictor.family.with_margin(prompt.box, *image.shape))
    return predictor.predict_prompt(image, prompt)


@ONE_OF_EACH_FAMILY
def test_every_combination_of_prompts_goes_through_a_stack_that_is_encoded_once(key: str, choice: ModelChoice) -> None:
    service, alone = SegmentationService(), load_predictor(choice)[0]
    encodings = []
    for name, prompt in combinations(key, BOX, CLICKS, BALL[2]).items():
        found, info = run(choice, StackPrompt({2: prompt}, (0, 4)), service=service)
        encodings.append(info.timings.encoder_calls)
        expected = predicted(alone, SOURCE.slice_uint8(2), prompt)
        assert found[2].key and np.array_equal(found[2].mask, expected.mask), name
        assert len(found) == (5 if expected.mask.any() else 1), name
        for result in found.values():
            assert 0 <= result.confidence <= 1 and np.isfinite(result.predicted_iou)
            starts = result.key or ("mask" in CATALOGUE[key].prompts and bool(result.mask.any()))
            assert (result.low_res_logits is not None) == starts, name
    assert sum(encodings) == 5, "whatever is asked, each slice is encoded once"


@ONE_OF_EACH_FAMILY
def test_key_slices_of_different_kinds_meet(key: str, choice: ModelChoice) -> None:
    kinds = list(combinations(key, BOX, CLICKS, BALL[0]).values())
    found, _ = run(choice, StackPrompt({4: BOX, 0: kinds[-1]}, (0, 4)))
    assert [index for index, result in sorted(found.items()) if result.key] == [0, 4]
    assert sorted(found) in ([0, 1, 2, 3, 4], [0, 4])


@ONE_OF_EACH_FAMILY
@pytest.mark.parametrize("axis", "IJ")
def test_a_volume_stored_along_another_axis_gives_the_same_masks(key: str, axis: str, choice: ModelChoice) -> None:
    """Whichever axis the slices lie along, and whichever end they are counted from."""
    prompt = StackPrompt.from_box3d(0, 4, BOX)
    service = SegmentationService()
    upright, _ = run(choice, prompt, service=service)
    spacing = {"I": (3.0, 0.8, 1.3), "J": (0.8, 3.0, 1.3)}[axis]
    stored = np.moveaxis(BALL, 0, {"I": 2, "J": 1}[axis])
    found, _ = run(choice, prompt, stack_of(stored, spacing, axis), service)
    for index, result in upright.items():
        assert np.array_equal(found[index].mask, result.mask)
        assert found[index].confidence == pytest.approx(result.confidence, abs=1e-6)


@ONE_OF_EACH_FAMILY
def test_a_second_process_finds_the_embeddings_on_disk(key: str, choice: ModelChoice, tmp_path: Path) -> None:
    prompt = StackPrompt.from_box3d(0, 4, BOX)
    masks = []
    for expected_encodings in (5, 0):
        files = EmbeddingStore(tmp_path / "embeddings", 100 << 20)
        found, info = run(choice, prompt, service=SegmentationService(DEFAULT_BYTES, files))
        assert info.timings.encoder_calls == expected_encodings
        masks.append([found[index].mask for index in sorted(found)])
    assert np.array_equal(*masks)


@ONE_OF_EACH_FAMILY
def test_prompts_outside_the_stack_are_refused_before_anything_is_encoded(key: str, choice: ModelChoice) -> None:
    service = SegmentationService()
    inside = SlicePrompt(box=BOX)
    wrong = [
        StackPrompt({5: inside}),
        StackPrompt({2: inside}, (1, 9)),
        StackPrompt({2: Box(0, 0, SHAPE[2], 5)}),
        replace(StackPrompt.from_box3d(0, 4, BOX), box3d=Box(0, 0, 5, SHAPE[1])),
    ]
    for prompt in wrong:
        info = RunInfo()
        with pytest.raises(InputError):
            list(service.segment(choice, SOURCE, prompt, info))
        assert info.timings.encoder_calls == 0
