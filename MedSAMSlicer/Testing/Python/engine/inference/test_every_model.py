"""No family is a second-class citizen: each does everything that the engine promises, down to its refusals.

The families run small, with weights made by a rule; that they equal their authors' code is tested elsewhere. SAM's larger
encoders are its smallest one with other numbers, and do once what the others do.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from MedSAMSlicerLib.engine.errors import Cancelled, InputError, MedSAMError, WeightsError
from MedSAMSlicerLib.engine.inference.predictor import Predictor, load_predictor
from MedSAMSlicerLib.engine.model_choice import ModelChoice, RunInfo
from MedSAMSlicerLib.engine.models.catalogue import CATALOGUE, PROMPT_KINDS
from MedSAMSlicerLib.engine.prompts import Box, MaskPrompt, Points, SlicePrompt, StackPrompt
from MedSAMSlicerLib.engine.propagation.settings import OutwardSettings
from MedSAMSlicerLib.engine.results import SliceResult
from MedSAMSlicerLib.engine.serving.service import SegmentationService
from MedSAMSlicerLib.scene.worker.active_run import RunListener
from support.every_family import EVERY, ONE_OF_EACH_FAMILY, TAKING_POINTS, combinations
from support.in_process_client import InProcessClient
from support.shapes import ellipsoid, stack_of, textured_slice
from support.small_families import SMALL_FAMILIES

ROWS, COLUMNS = 60, 84
BOX = Box(20, 15, 62, 48)
IMAGE = textured_slice(ROWS, COLUMNS, 5)
CLICKS = Points(((40, 30), (12, 50.5)), (True, False))
FACTORS = (OutwardSettings().close_margin, OutwardSettings().loose_margin)
DISC = ellipsoid((1, ROWS, COLUMNS), (0, 30, 42), (1, 14, 18))[0]


def prompts_of(key: str) -> dict[str, SlicePrompt]:
    return combinations(key, BOX, CLICKS, DISC)


@pytest.fixture
def choice(key: str, small_choice: Callable[[str], ModelChoice]) -> ModelChoice:
    return small_choice(key)


@pytest.fixture
def predictor(choice: ModelChoice) -> Predictor:
    return load_predictor(choice)[0]


def test_the_small_families_are_those_of_the_catalogue() -> None:
    assert list(SMALL_FAMILIES) == [key for key, spec in CATALOGUE.items() if not spec.base]


@EVERY
def test_every_combination_of_prompts_is_answered_from_one_encoding(key: str, predictor: Predictor) -> None:
    for name, prompt in prompts_of(key).items():
        prediction = predictor.predict_prompt(IMAGE, prompt)
        assert prediction.mask.shape == (ROWS, COLUMNS) and prediction.mask.dtype == bool, name
        assert prediction.low_res_logits.ndim == 2 and prediction.low_res_logits.dtype == np.float32
        assert np.isfinite(prediction.low_res_logits).all() and np.isfinite(prediction.predicted_iou)
    assert predictor.timings.encoder_calls == 1


@ONE_OF_EACH_FAMILY
def test_every_part_of_a_prompt_counts(key: str, predictor: Predictor) -> None:
    """Another box, another point, another sign or another mask gives another answer."""
    # Points that a model was not trained for count where the mask disagrees with them: `test_point_corrections`.
    asked = [prompt for prompt in prompts_of(key).values() if prompt.kinds <= CATALOGUE[key].prompts]
    if "points" in CATALOGUE[key].prompts:
        asked += [SlicePrompt(BOX, Points(CLICKS.coordinates, (True, True))), SlicePrompt(BOX, CLICKS.without_last())]
        asked += [
            SlicePrompt(BOX, CLICKS.with_point(70, 10, False)),
            SlicePrompt(mask=MaskPrompt(mask=DISC[::-1].copy())),
        ]
    asked.append(SlicePrompt(box=Box(5, 5, 50, 40)))
    answers = [predictor.predict_prompt(IMAGE, prompt, multimask=False).low_res_logits for prompt in asked]
    for n, one in enumerate(answers):
        assert all(np.abs(one - other).max() > 1e-6 for other in answers[:n])


@ONE_OF_EACH_FAMILY
def test_a_box_at_the_edges_and_slices_of_one_row_or_column_are_answered(key: str, predictor: Predictor) -> None:
    assert predictor.predict(IMAGE, Box.of_slice(ROWS, COLUMNS)).mask.shape == (ROWS, COLUMNS)
    assert predictor.predict(IMAGE, Box(COLUMNS - 1, ROWS - 1, COLUMNS - 1, ROWS - 1)).mask.shape == (ROWS, COLUMNS)
    for shape in ((1, 40), (40, 1), (1, 1), (300, 20)):
        image = np.full(shape, 7, np.uint8)
        assert predictor.predict(image, Box.of_slice(*shape)).mask.shape == shape


@ONE_OF_EACH_FAMILY
def test_prompts_of_different_make_up_asked_together_give_what_they_give_alone(key: str, predictor: Predictor) -> None:
    asked = [*prompts_of(key).values(), SlicePrompt(box=Box(5, 5, 50, 40))]
    for together, prompt in zip(predictor.predict_prompts(IMAGE, asked), asked, strict=True):
        alone = predictor.predict_prompt(IMAGE, prompt)
        assert np.abs(together.low_res_logits - alone.low_res_logits).max() < 1e-6
        assert abs(together.predicted_iou - alone.predicted_iou) < 1e-6


@ONE_OF_EACH_FAMILY
def test_of_several_masks_the_one_of_which_the_model_thinks_best_is_taken(key: str, predictor: Predictor) -> None:
    several = predictor.predict_prompt(IMAGE, SlicePrompt(box=BOX), multimask=True)
    assert len(several.candidates) == 3
    assert several.predicted_iou == max(one.predicted_iou for one in several.candidates)
    single = predictor.predict_prompt(IMAGE, SlicePrompt(box=BOX), multimask=False)
    assert single.candidates == ()
    by_default = predictor.predict(IMAGE, BOX)
    assert bool(by_default.candidates) == (key == "sam_med2d"), "only its authors take several masks of a box"


@TAKING_POINTS
def test_a_single_click_is_ambiguous_and_two_are_not_to_sam(key: str, predictor: Predictor) -> None:
    click = Points(((40, 30),), (True,))
    assert len(predictor.predict_prompt(IMAGE, SlicePrompt(points=click)).candidates) == 3
    two = predictor.predict_prompt(IMAGE, SlicePrompt(points=click.with_point(12, 50, False)))
    assert len(two.candidates) == (3 if key == "sam_med2d" else 0)


@ONE_OF_EACH_FAMILY
def test_a_prediction_may_be_refined_from_its_own_logits(key: str, predictor: Predictor) -> None:
    first = predictor.predict(IMAGE, BOX)
    correction = SlicePrompt(BOX, mask=MaskPrompt(logits=first.low_res_logits))
    if "mask" not in CATALOGUE[key].prompts:
        with pytest.raises(InputError, match="not trained for masks"):
            predictor.predict_prompt(IMAGE, correction)
        return
    second = predictor.predict_prompt(IMAGE, correction)
    assert second.low_res_logits.shape == first.low_res_logits.shape
    with pytest.raises(InputError, match="does not fit the model"):
        predictor.predict_prompt(IMAGE, SlicePrompt(mask=MaskPrompt(logits=np.zeros((7, 7), np.float32))))


@EVERY
@pytest.mark.parametrize("kind", PROMPT_KINDS)
def test_what_a_model_was_not_trained_for_is_refused_with_its_name(key: str, kind: str, choice: ModelChoice) -> None:
    prompt = {
        "box": SlicePrompt(box=BOX),
        "points": SlicePrompt(points=CLICKS),
        "mask": SlicePrompt(mask=MaskPrompt(mask=DISC)),
    }[kind]
    service = SegmentationService()
    if kind in CATALOGUE[key].prompts:
        assert service.preview(choice, IMAGE, prompt).mask.shape == IMAGE.shape
        return
    with pytest.raises(InputError) as caught:
        service.preview(choice, IMAGE, prompt)
    message = str(caught.value)
    refused = {"points": "points", "mask": "masks"}[kind]
    assert message.startswith(f"{CATALOGUE[key].title} was not trained for {refused}, it takes boxes: choose one of ")
    assert "sam_vit_b" in message and "sam_med2d" in message and "\n" not in message
    keyed = StackPrompt({1: prompt})
    with pytest.raises(InputError, match="was not trained for"):
        next(iter(service.segment(choice, stack_of(np.stack([DISC] * 3)), keyed, RunInfo())))


@ONE_OF_EACH_FAMILY
def test_a_prompt_outside_the_slice_is_refused(key: str, choice: ModelChoice) -> None:
    service = SegmentationService()
    outside = [SlicePrompt(box=Box(0, 0, COLUMNS, 5))]
    if "points" in CATALOGUE[key].prompts:
        outside += [SlicePrompt(points=Points(((3, ROWS),), (True,))), SlicePrompt(mask=MaskPrompt(mask=DISC.T))]
    for prompt in outside:
        with pytest.raises(InputError, match="outside the slice|does not fit a slice"):
            service.preview(choice, IMAGE, prompt)


@ONE_OF_EACH_FAMILY
def test_three_slices_are_propagated_each_once_and_encoded_once(key: str, choice: ModelChoice) -> None:
    source = stack_of(ellipsoid((3, 48, 56), (1, 24, 28), (2.5, 12, 14)))
    prompt = StackPrompt.from_box3d(0, 2, Box(12, 10, 44, 38))
    service, info = SegmentationService(), RunInfo()
    results = {result.index: result for result in service.segment(choice, source, prompt, info)}
    assert sorted(results) == [0, 1, 2]
    assert [index for index, result in results.items() if result.key] == [1]
    for result in results.values():
        outside = result.mask.copy()
        outside[10:39, 12:45] = False
        assert not outside.any() and 0 <= result.confidence <= 1
    assert info.loaded is not None and (info.loaded.model, info.loaded.device) == (key, "cpu")
    assert info.timings.encoder_calls == 3

    again = RunInfo()
    repeated = {result.index: result for result in service.segment(choice, source, prompt, again)}
    assert again.timings.encoder_calls == 0
    assert all(np.array_equal(repeated[index].mask, results[index].mask) for index in results)


@ONE_OF_EACH_FAMILY
def test_a_cancelled_run_ends_at_the_next_slice_and_another_may_follow(key: str, choice: ModelChoice) -> None:
    source = stack_of(ellipsoid((3, 48, 56), (1, 24, 28), (2.5, 12, 14)))
    prompt = StackPrompt.from_box3d(0, 2, Box(12, 10, 44, 38))
    runner = InProcessClient(SegmentationService())
    found: list[SliceResult] = []
    ended: list[MedSAMError | RunInfo] = []

    def stop_at_the_first(result: SliceResult) -> None:
        found.append(result)
        runner.cancel()

    runner.segment(choice, source, prompt, RunListener(stop_at_the_first, ended.append, ended.append))
    while not runner.idle:
        runner.step()
    assert len(found) == 1 and [type(end) for end in ended] == [Cancelled]

    runner.segment(choice, source, prompt, RunListener(found.append, ended.append, ended.append))
    while not runner.idle:
        runner.step()
    assert len(found) == 4 and isinstance(ended[-1], RunInfo)


@EVERY
def test_damaged_weights_and_those_of_every_other_family_are_refused_in_one_line(
    key: str, choice: ModelChoice, small_weights: dict[str, Path], tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.pth"
    damaged.write_bytes(small_weights[key].read_bytes()[:-100])
    for path in (damaged, *(other for name, other in small_weights.items() if name != key)):
        with pytest.raises(WeightsError) as caught:
            load_predictor(ModelChoice(key, str(path)))
        assert CATALOGUE[key].title in str(caught.value) and "\n" not in str(caught.value)


@ONE_OF_EACH_FAMILY
def test_a_loose_rectangle_is_wider_than_a_close_one_and_stays_in_the_input(key: str, predictor: Predictor) -> None:
    close, loose = (predictor.family.with_margin(BOX, ROWS, COLUMNS, factor) for factor in FACTORS)
    wider = np.subtract(loose.xyxy, close.xyxy)
    assert (wider[:2] < 0).all() and (wider[2:] > 0).all()
    assert np.abs(wider).max() < 0.05 * COLUMNS
    # Slices are padded to a square; half a pixel more, because some families count from the pixels' edges.
    square = Box.of_slice(COLUMNS, COLUMNS).padded(0.5, 0.5)
    beyond = predictor.family.with_margin(Box.of_slice(ROWS, COLUMNS), ROWS, COLUMNS, FACTORS[1])
    assert beyond.intersection(square) == beyond
    answers = predictor.predict_prompts(IMAGE, [SlicePrompt(box=box) for box in (close, loose)])
    assert np.abs(answers[0].low_res_logits - answers[1].low_res_logits).max() > 1e-6
