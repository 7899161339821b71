"""SAM-Med2D gives what the authors' own code gives, for every kind of prompt, with weights filled by the rule."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from MedSAMSlicerLib.engine.inference.predictor import Predictor
from MedSAMSlicerLib.engine.masks import dice
from MedSAMSlicerLib.engine.models.catalogue import ALL_PROMPTS
from MedSAMSlicerLib.engine.models.family import NetworkPrompt
from MedSAMSlicerLib.engine.models.sam_med2d import FAMILY, SamMed2D, nearest_pixels
from MedSAMSlicerLib.engine.prompts import MaskPrompt, SlicePrompt
from support.parity import IOU_TOLERANCE, LOGITS_TOLERANCE, assert_same_answer, reference_prompts
from support.seeded_weights import seeded_predictor

INPUTS = ("ct_sarcoma", "mr_brain", "mr_hippo", "rgb_fundus")
AS_IN_THE_REFERENCE = SamMed2D(colour_order="RGB")


@pytest.fixture(scope="module")
def predictor(shared_dir: Path) -> Predictor:
    return seeded_predictor(shared_dir / "reference", "sam_med2d", AS_IN_THE_REFERENCE, ALL_PROMPTS)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", INPUTS)
def test_every_prompt_gives_the_authors_numbers(shared_dir: Path, predictor: Predictor, name: str) -> None:
    reference = np.load(shared_dir / "reference" / f"sam_med2d__{name}.npz")
    image, family = reference["image"], predictor.family
    rows, columns = image.shape[:2]
    box, points = reference_prompts(reference["box"])
    by_box, by_points = SlicePrompt(box=box), SlicePrompt(points=points)

    def assert_same(prediction: object, prefix: str) -> None:
        parts = (reference[f"{prefix}low_res_logits"][0, 0], reference[f"{prefix}iou"][0], reference[f"{prefix}mask"])
        assert_same_answer(prediction, *parts)  # type: ignore[arg-type]

    assert np.abs(family.prepare(image) - reference["model_input"][0]).max() <= 1e-6
    assert np.abs(predictor.embed(image) - reference["embedding"][0]).max() <= 1e-5
    assert np.abs(family.network_box(box, rows, columns) - reference["box_256"]).max() <= 1e-4
    assert np.abs(family.network_points(points, rows, columns) - reference["points_256"]).max() <= 1e-4

    one = predictor.predict_prompt(image, by_box, multimask=False)
    assert_same(one, "")
    assert_same(predictor.predict_prompt(image, by_points, multimask=False), "points1_")
    for prompt, prefix in ((by_box, "boxmulti_"), (by_points, "points_")):
        best = predictor.predict_prompt(image, prompt)
        assert_same(best, prefix)
        all_logits, all_ious = reference[f"{prefix}all3_low_res_logits"][0], reference[f"{prefix}all3_iou"][0]
        for candidate, logits, iou in zip(best.candidates, all_logits, all_ious, strict=True):
            assert np.abs(candidate.low_res_logits - logits).max() <= LOGITS_TOLERANCE
            assert abs(candidate.predicted_iou - iou) <= IOU_TOLERANCE

    first = reference["low_res_logits"][0, 0]
    again = SlicePrompt(box=box, mask=MaskPrompt(logits=first))
    assert_same(predictor.predict_prompt(image, again, multimask=False), "boxsigmask_")
    raw = NetworkPrompt(box=family.network_box(box, rows, columns), mask=first[None])
    logits, ious = predictor.decode_prompts(image, [raw])
    assert np.abs(logits[0, 0] - reference["boxmask_low_res_logits"][0, 0]).max() <= LOGITS_TOLERANCE
    assert abs(ious[0, 0] - reference["boxmask_iou"][0]) <= IOU_TOLERANCE


@pytest.mark.parametrize("name", INPUTS)
def test_the_authors_logits_become_the_authors_mask(shared_dir: Path, name: str) -> None:
    reference = np.load(shared_dir / "reference" / f"sam_med2d__{name}.npz")
    for prefix in ("", "boxmulti_", "points_", "points1_", "boxmask_", "boxsigmask_"):
        masks = FAMILY.slice_masks(reference[f"{prefix}low_res_logits"][:, 0], *reference["mask"].shape)
        assert dice(masks[0], reference[f"{prefix}mask"]) >= 0.999


def test_colour_slices_enter_as_the_authors_trained(shared_dir: Path) -> None:
    """Their data loader reads colour images as BGR; the reference files were made in RGB."""
    colour = np.load(shared_dir / "reference" / "sam_med2d__rgb_fundus.npz")["image"]
    assert np.array_equal(FAMILY.prepare(colour[..., ::-1]), AS_IN_THE_REFERENCE.prepare(colour))
    grey = colour[..., 1]
    assert np.array_equal(FAMILY.prepare(grey), AS_IN_THE_REFERENCE.prepare(grey))


@pytest.mark.parametrize(("source", "other"), [(186, {128: 92}), (198, {128: 98}), (512, {}), (157, {}), (35, {})])
def test_the_nearest_pixel_is_that_of_opencv(source: int, other: dict[int, int]) -> None:
    """Compared with OpenCV 4.10 for 1 to 2999 pixels: the whole quotient, but where its rounding says otherwise."""
    expected = np.arange(256) * source // 256
    for target, pixel in other.items():
        expected[target] = pixel
    assert np.array_equal(nearest_pixels(source, 256), expected)
