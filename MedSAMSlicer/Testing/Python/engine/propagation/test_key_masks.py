"""Key masks: final on their slices, whatever is predicted around them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.engine.inference.predictor import Predictor
from MedSAMSlicerLib.engine.masks import dice
from MedSAMSlicerLib.engine.prompts import Box, KeyMask, SlicePrompt, StackPrompt
from MedSAMSlicerLib.engine.propagation.propagate import propagate
from MedSAMSlicerLib.engine.results import SliceResult
from support.component_model import component_predictor
from support.shapes import ellipsoid, stack_of
from support.threshold_model import ThresholdFamily, ThresholdRuntime, threshold_predictor

SHAPE = (20, 60, 100)
LESION = ellipsoid(SHAPE, (9.5, 30, 40), (7.4, 16, 20))
FIRST, LAST = 3, 16
# No model would draw it: a ragged half of the object, and a corner far from it.
ODD = LESION[8].copy()
ODD[:30], ODD[::3, 40], ODD[2:5, 90:95] = False, False, True
EMPTY = np.zeros(SHAPE[1:], bool)
FACE = Box(20, 14, 60, 46)


def key(mask: np.ndarray) -> SlicePrompt:
    return SlicePrompt(key_mask=KeyMask(mask))


def run(
    prompt: StackPrompt, predictor: Predictor | None = None, mask: np.ndarray = LESION, **geometry: object
) -> dict[int, SliceResult]:
    found: dict[int, SliceResult] = {}
    for result in propagate(stack_of(mask, **geometry), prompt, predictor or threshold_predictor()):
        assert result.index not in found, "each slice once"
        found[result.index] = result
    return found


def box_on(index: int) -> Box:
    box = Box.from_mask(LESION[index])
    assert box is not None
    return box


@pytest.mark.parametrize(
    "prompt",
    [
        StackPrompt({8: key(ODD)}),
        StackPrompt({8: key(ODD)}, (5, 12)),
        StackPrompt({4: key(LESION[4]), 8: key(ODD), 15: key(LESION[15])}, (FIRST, LAST)),
        StackPrompt({4: box_on(4), 8: key(ODD), 12: box_on(12)}),
        StackPrompt({4: box_on(4), 8: key(EMPTY), 12: box_on(12)}),
        StackPrompt({8: key(ODD)}, (FIRST, LAST), FACE),
        # A slice that would be skipped, and the ends of the box.
        StackPrompt({3: key(EMPTY), 7: key(LESION[7]), 8: key(ODD), 16: key(LESION[16])}, (FIRST, LAST), FACE),
        StackPrompt({9: FACE, 8: key(ODD)}, (0, 19), FACE),
        StackPrompt({8: key(ODD)}, None, FACE),
    ],
)
@pytest.mark.parametrize("predictor", [threshold_predictor, component_predictor])
def test_a_key_mask_is_the_result_of_its_slice_bit_for_bit(
    prompt: StackPrompt, predictor: Callable[[], Predictor]
) -> None:
    found = run(prompt, predictor())
    for index, mask in prompt.key_masks.items():
        result = found[index]
        assert np.array_equal(result.mask, mask)
        assert (result.key, result.confidence, result.needs_review, result.interpolated) == (True, 1.0, False, False)
        assert result.box == Box.from_mask(mask)
    assert any(result.mask.any() for index, result in found.items() if index not in prompt.key_masks)


def test_no_model_sees_the_slice_of_a_key_mask() -> None:
    predictor = threshold_predictor()
    found = run(StackPrompt({index: key(LESION[index]) for index in (3, 9, 16)}, (FIRST, LAST)), predictor)
    assert predictor.runtime.encoded == len(found) - 3 == 11  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="final"):
        predictor.predict_prompt(np.zeros(SHAPE[1:], np.uint8), key(ODD))


@pytest.mark.parametrize("slice_range", [None, (FIRST, LAST)])
def test_one_key_mask_is_followed_to_the_ends(slice_range: tuple[int, int] | None) -> None:
    found = run(StackPrompt({9: key(LESION[9])}, slice_range))
    assert sorted(index for index in found if found[index].mask.any()) == list(range(FIRST, LAST + 1))
    assert all(dice(found[index].mask, LESION[index]) > 0.95 for index in range(FIRST, LAST + 1))


@pytest.mark.parametrize("face", [None, FACE])
def test_the_object_ends_before_an_empty_key_mask(face: Box | None) -> None:
    """It is bright beyond, too: the user knows better."""
    slice_range = None if face is None else (0, 19)
    found = run(StackPrompt({9: key(LESION[9]), 13: key(EMPTY)}, slice_range, face))
    assert not found[13].mask.any()
    assert max(found) == 13
    assert dice(found[5].mask, LESION[5]) > 0.9
    # A 3D box that ends there expects the object to become small.
    assert dice(found[12].mask, LESION[12]) > (0.9 if face is None else 0.4)
    below = run(StackPrompt({9: key(LESION[9]), 6: key(EMPTY), 4: key(EMPTY)}, slice_range, face))
    assert min(index for index in below if index != 4) == 6 and not below[4].mask.any()
    assert below[7].mask.any() and below[12].mask.any()


def test_an_empty_key_mask_between_two_others_parts_the_object() -> None:
    mask = LESION.copy()
    mask[9:11] = False
    found = run(StackPrompt({6: key(LESION[6]), 10: key(EMPTY), 13: key(LESION[13])}), mask=mask)
    assert not found[10].mask.any()
    assert 9 not in found or not found[9].mask.any()
    assert all(dice(found[index].mask, mask[index]) > 0.9 for index in (5, 7, 8, 11, 12, 14))
    assert min(found) >= FIRST - 1 and max(found) <= LAST + 1


def test_empty_key_masks_alone_are_no_prompt_unless_a_3d_box_says_where_the_object_is() -> None:
    with pytest.raises(InputError, match="all key masks are empty"):
        StackPrompt({5: key(EMPTY)})
    found = run(StackPrompt({5: key(EMPTY), 14: key(EMPTY)}, (FIRST, LAST), FACE))
    assert sorted(found) == list(range(5, 15))
    assert not found[5].mask.any() and not found[14].mask.any() and dice(found[9].mask, LESION[9]) > 0.9


class _Unsure(ThresholdRuntime):
    """Finds what is bright, and doubts it."""

    def decode(self, *given: object, **options: object) -> tuple[np.ndarray, np.ndarray]:
        logits, ious = super().decode(*given, **options)  # type: ignore[arg-type]
        return logits, ious * self.trust

    trust = 0.4


def unsure(trust: float) -> Predictor:
    runtime = _Unsure()
    runtime.trust = trust
    return Predictor(ThresholdFamily(), runtime, f"unsure {trust}")


@pytest.mark.parametrize("face", [None, FACE])
def test_between_key_masks_an_unsure_model_is_bent_towards_their_shape(face: Box | None) -> None:
    """Everything in the object's rectangle is bright; only the key masks know that it is round."""
    image = np.zeros(SHAPE, bool)
    for index in range(FIRST, LAST + 1):
        image[index][box_on(index).pixels] = True
    keys = {index: key(LESION[index]) for index in (5, 9, 14)}
    others = [index for index in range(5, 15) if index not in keys]

    def score(trust: float) -> float:
        found = run(StackPrompt(keys, (5, 14), face), unsure(trust), image)
        return dice(np.stack([found[index].mask for index in others]), LESION[others])

    assert score(0.4) > 0.95
    assert score(1.0) < 0.92, "a sure model is believed"


def test_masks_beside_a_key_mask_bend_towards_it_and_it_does_not_bend_towards_them() -> None:
    """The user has cut the object in half on one slice of many thin ones."""
    thin = (1.0, 1.0, 0.5)
    half = LESION[9].copy()
    half[:, 40:] = False
    whole = run(StackPrompt({9: FACE}, (FIRST, LAST), FACE), unsure(0.2), spacing_ijk=thin)
    found = run(StackPrompt({9: key(half)}, (FIRST, LAST), FACE), unsure(0.2), spacing_ijk=thin)
    assert np.array_equal(found[9].mask, half)
    assert dice(found[10].mask, half) > dice(whole[10].mask, half) + 0.1


def test_a_key_mask_is_no_rough_mask_and_stands_alone_on_its_slice() -> None:
    for mask in (np.zeros((4, 4), np.uint8), np.zeros((2, 4, 4), bool)):
        with pytest.raises(InputError, match="no key mask"):
            KeyMask(mask)
    with pytest.raises(InputError, match="final"):
        SlicePrompt(box=FACE, key_mask=KeyMask(ODD))
    with pytest.raises(InputError, match="does not fit"):
        StackPrompt({4: key(np.ones((5, 5), bool))}).checked_for(SHAPE)
    assert StackPrompt({4: key(ODD), 6: FACE}).kinds == {"key mask", "box"}
