"""Every combination of prompts goes the way of the package's own `SamPredictor`, which is the authors' code.

Small encoders with rule-made weights: what is compared here is everything around the encoder.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest

from MedSAMSlicerLib.engine.inference.predictor import Predictor
from MedSAMSlicerLib.engine.masks import dice
from MedSAMSlicerLib.engine.models.catalogue import ALL_PROMPTS
from MedSAMSlicerLib.engine.models.sam import PIXEL_MEAN, PIXEL_STD
from MedSAMSlicerLib.engine.prompts import Box, MaskPrompt, Points, SlicePrompt
from MedSAMSlicerLib.engine.runtimes.torch_runtime import TorchRuntime
from support.seeded_weights import fill_with_seeded_weights
from support.shapes import ellipsoid, textured_slice
from support.small_families import SIDE, SMALL_FAMILIES

if TYPE_CHECKING:
    from segment_anything import SamPredictor

pytestmark = pytest.mark.slow

FAMILY = SMALL_FAMILIES["sam_vit_b"]
BOX = Box(11.5, 8, 50, 39)
CLICKS = Points(((30, 20), (5, 41.25), (33, 31)), (True, False, True))


@pytest.fixture(scope="module")
def predictors() -> tuple[Predictor, SamPredictor]:
    """Ours and theirs, around one network."""
    # Not at the top: the package imports torchvision, which takes seconds.
    from segment_anything import SamPredictor
    from segment_anything.modeling import Sam as AuthorsSam

    network = FAMILY.build_network()
    fill_with_seeded_weights(network)
    network.eval()
    parts = (network.image_encoder, network.prompt_encoder, network.mask_decoder)
    theirs = AuthorsSam(*parts, pixel_mean=PIXEL_MEAN.tolist(), pixel_std=PIXEL_STD.tolist())
    return Predictor(FAMILY, TorchRuntime(network, "cpu"), "small SAM", prompts=ALL_PROMPTS), SamPredictor(theirs)


@pytest.mark.parametrize("shape", [(47, 61), (61, 47), (128, 128), (300, 211)])
@pytest.mark.parametrize("multimask", [False, True])
def test_all_combinations_give_what_the_authors_predictor_gives(
    predictors: tuple[Predictor, SamPredictor], shape: tuple[int, int], multimask: bool
) -> None:
    ours, theirs = predictors
    image = textured_slice(*shape, seed=3)
    theirs.set_image(np.repeat(image[..., None], 3, axis=2))
    assert np.abs(ours.embed(image) - theirs.features[0].numpy()).max() < 1e-6
    logits = np.random.default_rng(0).normal(0, 5, (FAMILY.logits_size, FAMILY.logits_size)).astype(np.float32)
    for box, points, mask in product((None, BOX), (None, CLICKS), (None, MaskPrompt(logits=logits))):
        if box is points is mask is None:
            continue
        masks, ious, low_res = theirs.predict(
            point_coords=None if points is None else np.array(points.coordinates),
            point_labels=None if points is None else np.array(points.positive, int),
            box=None if box is None else np.array(box.xyxy),
            mask_input=None if mask is None else logits[None],
            multimask_output=multimask,
        )
        prediction = ours.predict_prompt(image, SlicePrompt(box, points, mask), multimask)
        for candidate, *expected in zip(prediction.candidates or (prediction,), masks, ious, low_res, strict=True):
            assert np.array_equal(candidate.mask, expected[0])
            assert abs(candidate.predicted_iou - expected[1]) < 1e-7
            assert np.abs(candidate.low_res_logits - expected[2]).max() < 1e-7
        assert prediction.predicted_iou == pytest.approx(ious.max(), abs=1e-7)


@pytest.mark.parametrize("key", ["sam_vit_b", "sam_med2d"])
@pytest.mark.parametrize("shape", [(47, 61), (61, 47), (300, 211)])
def test_a_drawn_mask_becomes_logits_that_become_the_mask_again(key: str, shape: tuple[int, int]) -> None:
    family = SMALL_FAMILIES[key]
    rows, columns = shape
    drawn = ellipsoid((1, rows, columns), (0, rows * 0.4, columns * 0.6), (1, rows * 0.3, columns * 0.25))[0]
    entering = family.network_mask(MaskPrompt(mask=drawn), rows, columns)
    assert entering.shape == (1, SIDE // 4, SIDE // 4) and entering.dtype == np.float32
    if key == "sam_med2d":
        assert 0 <= entering.min() < 0.01 and 0.99 < entering.max() <= 1, "probabilities enter, not logits"
        entering = entering - np.float32(0.5)
    else:
        assert entering.max() == pytest.approx(np.log(999), abs=1e-3) == -entering.min()
    again = family.slice_masks(entering, rows, columns)[0]
    assert dice(again, drawn) > 0.95
