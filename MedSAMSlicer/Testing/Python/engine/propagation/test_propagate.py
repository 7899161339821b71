"""Propagation through stacks whose truth is known, with a model that segments what is bright in its box."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.engine.inference.predictor import Predictor
from MedSAMSlicerLib.engine.masks import dice
from MedSAMSlicerLib.engine.prompts import Box, StackPrompt
from MedSAMSlicerLib.engine.propagation.propagate import propagate
from MedSAMSlicerLib.engine.propagation.settings import PropagationSettings, SkippingSettings
from MedSAMSlicerLib.engine.results import SliceResult
from MedSAMSlicerLib.engine.stack import array_axis
from support.shapes import ellipsoid, stack_of
from support.threshold_model import ThresholdFamily, ThresholdRuntime, threshold_predictor

SHAPE = (20, 60, 70)
CENTRE, RADII = (9.5, 30.0, 35.0), (6.4, 14.0, 18.0)
FIRST, LAST = 4, 15


@pytest.fixture
def predictor() -> Predictor:
    return threshold_predictor()


@pytest.fixture
def lesion() -> np.ndarray:
    return ellipsoid(SHAPE, CENTRE, RADII)


def run(
    predictor: Predictor, mask: np.ndarray, prompt: StackPrompt, **geometry
) -> tuple[np.ndarray, list[SliceResult]]:
    source = stack_of(mask, **geometry)
    results = list(propagate(source, prompt, predictor))
    stack = np.zeros(source.shape, bool)
    for result in results:
        stack[result.index] = result.mask
    assert len({result.index for result in results}) == len(results), "a slice came twice"
    return stack, results


def box3d(mask: np.ndarray) -> StackPrompt:
    held = np.flatnonzero(mask.any(axis=(1, 2)))
    around = Box.from_mask(mask.any(axis=0))
    assert around is not None
    return StackPrompt.from_box3d(int(held[0]), int(held[-1]), around)


def test_a_3d_box_gives_the_whole_object(predictor: Predictor, lesion: np.ndarray) -> None:
    stack, results = run(predictor, lesion, box3d(lesion))
    assert dice(stack, lesion) > 0.97
    assert sorted(result.index for result in results) == list(range(FIRST, LAST + 1))
    assert [result.index for result in results if result.key] == [(FIRST + LAST) // 2]


@pytest.mark.parametrize("axis", ["I", "J", "K"])
def test_the_object_is_found_along_every_axis(predictor: Predictor, axis: str) -> None:
    lesion = ellipsoid((40, 50, 60), (20.0, 25.0, 30.0), (9.4, 11.4, 13.4))
    along = np.moveaxis(lesion, array_axis(axis), 0)
    held = np.flatnonzero(along.any(axis=(1, 2)))
    around = Box.from_mask(along.any(axis=0))
    assert around is not None
    prompt = StackPrompt.from_box3d(int(held[0]), int(held[-1]), around)
    stack, _results = run(predictor, lesion, prompt, axis=axis, spacing_ijk=(1.0, 1.0, 1.0))
    assert dice(stack, along) > 0.97


def test_one_rectangle_finds_the_extent(predictor: Predictor, lesion: np.ndarray) -> None:
    rectangle = Box.from_mask(lesion[10])
    assert rectangle is not None
    stack, results = run(predictor, lesion, StackPrompt({10: rectangle}))
    assert dice(stack, lesion) > 0.97
    held = [result.index for result in results if result.mask.any()]
    assert (min(held), max(held)) == (FIRST, LAST), "no mask where the object has ended, none missing where it has not"


def orders(mask: np.ndarray, *keys: int, in_view: int | None = None, slice_range: tuple[int, int] | None = None):
    """Slices in the order of their results, and the results by slice."""
    boxes = {index: box for index in keys if (box := Box.from_mask(mask[index])) is not None}
    prompt = StackPrompt(boxes, slice_range, in_view=in_view)
    results = list(propagate(stack_of(mask), prompt, threshold_predictor()))
    return [result.index for result in results], {result.index: result for result in results}


@pytest.mark.parametrize("in_view", [FIRST, 6, 9, 13, LAST])
@pytest.mark.parametrize("spacing_mm", [1.0, 5.0], ids=["slices skipped", "all predicted"])
def test_in_a_3d_box_the_slice_in_view_and_those_near_it_have_a_first_answer(
    lesion: np.ndarray, in_view: int, spacing_mm: float
) -> None:
    source, prompt = stack_of(lesion, spacing_ijk=(1.0, 1.0, spacing_mm)), box3d(lesion)
    settings = PropagationSettings(skipping=SkippingSettings(fewest_predicted=4))
    final = list(propagate(source, prompt, threshold_predictor(), settings))
    assert any(one.interpolated for one in final) == (spacing_mm == 1.0) and not any(one.provisional for one in final)
    model = threshold_predictor()
    results = list(propagate(source, replace(prompt, in_view=in_view), model, settings))
    answers = [one for one in results if one.provisional]
    assert results[:5] == answers and answers[0].index == in_view
    assert all(dice(one.mask, lesion[one.index]) > 0.85 for one in answers)
    furthest = max(abs(one.index - in_view) for one in answers)
    nearer = {one.index for one in final if not one.interpolated and abs(one.index - in_view) < furthest}
    assert nearer <= {one.index for one in answers}
    for one, other in zip(results[5:], final, strict=True):
        assert one.index == other.index and (one.mask == other.mask).all() and one.confidence == other.confidence
    in_addition = {in_view} - {one.index for one in final if not one.interpolated}
    assert model.timings.encoder_calls == sum(not one.interpolated for one in final) + len(in_addition)


@pytest.mark.parametrize("in_view", [None, FIRST - 1, LAST + 1])
def test_without_a_slice_in_view_there_is_no_first_answer(lesion: np.ndarray, in_view: int | None) -> None:
    _stack, results = run(threshold_predictor(), lesion, replace(box3d(lesion), in_view=in_view))
    assert not any(one.provisional for one in results)


def test_slices_on_both_sides_of_the_rectangle_come_in_turns(lesion: np.ndarray) -> None:
    assert orders(lesion, 9)[0][:7] == [9, 10, 8, 11, 7, 12, 6]
    assert orders(lesion, 9, slice_range=(7, 15))[0] == [9, 10, 8, 11, 7, 12, 13, 14, 15]


def test_slices_near_the_one_in_view_come_first_and_no_mask_depends_on_it(lesion: np.ndarray) -> None:
    keys, expected = (5, 9, 14), orders(lesion, 5, 9, 14)[1]
    for in_view in (*range(20), -3, 40):
        order, results = orders(lesion, *keys, in_view=in_view)
        assert order[0] == min(keys, key=lambda key: abs(key - in_view))
        if in_view in range(5, 15) and in_view not in keys:
            between = range(5, 10) if in_view < 9 else range(9, 15)
            assert set(order[3 : 1 + len(between)]) == set(between) - set(keys)
        if in_view > 14:
            assert order[3] == 15
        assert results.keys() == expected.keys()
        for index, one in results.items():
            other = expected[index]
            assert (one.mask == other.mask).all() and np.array_equal(one.low_res_logits, other.low_res_logits)
            assert (one.box, one.predicted_iou, one.confidence, one.needs_review) == (
                other.box, other.predicted_iou, other.confidence, other.needs_review,
            )  # fmt: skip


def test_nothing_leaves_the_3d_box(predictor: Predictor) -> None:
    # A vessel runs out of the object through the side of the box and through every slice.
    lesion = ellipsoid(SHAPE, CENTRE, RADII)
    image = lesion.copy()
    image[:, 28:33, :] = True
    prompt = box3d(lesion)
    stack, results = run(predictor, image, prompt)
    assert prompt.box3d is not None and prompt.slice_range is not None
    x0, y0, x1, y1 = (int(edge) for edge in prompt.box3d.xyxy)
    outside = stack.copy()
    outside[:, y0 : y1 + 1, x0 : x1 + 1] = False
    assert not outside.any()
    assert {result.index for result in results} <= set(range(prompt.slice_range[0], prompt.slice_range[1] + 1))
    for result in results:
        assert result.box is None or result.box.intersection(prompt.box3d) == result.box


def test_no_rectangle_is_asked_that_is_larger_than_the_3d_box(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever margin the family gives, and wherever a key slice's rectangle lies."""
    monkeypatch.setattr(
        ThresholdFamily,
        "with_margin",
        lambda _family, box, _rows, _columns, factor=1.0: box.padded(3 * factor, 3 * factor),
    )
    bounds = Box(20, 15, 60, 50)
    wide = np.zeros((9, 70, 90), bool)
    wide[:, 10:60, 10:80] = True
    list(propagate(stack_of(wide), StackPrompt({4: bounds, 6: Box(30, 20, 75, 45)}, (0, 8), bounds), predictor))
    assert isinstance(predictor.runtime, ThresholdRuntime) and len(predictor.runtime.boxes) >= 9
    for x0, y0, x1, y1 in predictor.runtime.boxes:
        assert x0 >= bounds.x0 and y0 >= bounds.y0 and x1 <= bounds.x1 and y1 <= bounds.y1


def test_an_object_that_ends_inside_the_box_ends_there(predictor: Predictor, lesion: np.ndarray) -> None:
    around = Box.from_mask(lesion.any(axis=0))
    assert around is not None
    stack, _results = run(predictor, lesion, StackPrompt.from_box3d(0, 19, around))
    assert not stack[:FIRST].any() and not stack[LAST + 1 :].any()


def leaning_lesion() -> np.ndarray:
    """An ellipsoid whose sections move across the slice: 30 columns from its first slice to its last."""
    k, j, i = np.mgrid[:21, :60, :90]
    return ((k - 10) / 8.4) ** 2 + ((j - 30) / 12) ** 2 + ((i - 45 - 2 * (k - 10)) / 14) ** 2 <= 1


@pytest.mark.parametrize("turned", [False, True])
def test_an_oblique_object_is_found_and_what_lies_beside_it_is_not(predictor: Predictor, turned: bool) -> None:
    lesion = leaning_lesion()
    image = lesion.copy()
    # Bright as well, inside the 3D box, where the object has moved away from.
    image[2:6, 24:37, 58:74] = True
    if turned:
        lesion, image = lesion[::-1].copy(), image[::-1].copy()
    stack, _results = run(predictor, image, box3d(lesion))
    assert dice(stack, lesion) > 0.93


def test_a_volume_turned_over_gives_the_same_masks(predictor: Predictor) -> None:
    # An odd number of slices: the middle one stays in the middle.
    lesion = leaning_lesion()
    turned = lesion[::-1].copy()
    there, _results = run(predictor, lesion, box3d(lesion))
    back, _results = run(predictor, turned, box3d(turned))
    assert np.array_equal(there, back[::-1])


@pytest.mark.parametrize(("spacing", "smoothed"), [(1.0, True), (9.5, False)])
def test_slices_near_each_other_agree_on_an_edge_that_one_of_them_sees_elsewhere(
    predictor: Predictor, lesion: np.ndarray, spacing: float, smoothed: bool
) -> None:
    # On one slice a dark wedge is cut out of the object.
    image = lesion.copy()
    image[11, 26:35, 40:46] = False
    stack, _results = run(predictor, image, box3d(lesion), spacing_ijk=(1.0, 1.0, spacing))
    assert bool(stack[11, 30, 43]) is smoothed


def test_rectangles_that_agree_are_asked_once(predictor: Predictor, lesion: np.ndarray) -> None:
    run(predictor, lesion, box3d(lesion))
    slices = LAST - FIRST + 1
    assert slices <= predictor.timings.decoder_calls <= 2 * slices


def test_a_gap_inside_the_box_is_crossed(predictor: Predictor, lesion: np.ndarray) -> None:
    broken = lesion.copy()
    broken[12] = False
    stack, results = run(predictor, broken, box3d(lesion))
    assert not stack[12].any() and stack[14].any()
    assert [result.needs_review for result in results if result.index == 12] == [True]


@pytest.mark.parametrize("slices", [(0, 5), (14, 19)])
def test_an_object_at_the_first_or_last_slice_of_the_volume(predictor: Predictor, slices: tuple[int, int]) -> None:
    lesion = np.zeros(SHAPE, bool)
    lesion[slices[0] : slices[1] + 1] = ellipsoid(SHAPE, CENTRE, RADII)[9]
    stack, _results = run(predictor, lesion, box3d(lesion))
    # The plain model cuts at its rectangle, which is expected to be narrower than the 3D box; a real one does not.
    assert dice(stack, lesion) > 0.95
    assert stack[slices[0]].any() and stack[slices[1]].any()
    rectangle = Box.from_mask(lesion[slices[0]])
    assert rectangle is not None
    stack, _results = run(predictor, lesion, StackPrompt({slices[0] + 2: rectangle}))
    assert dice(stack, lesion) > 0.99


def test_a_box_of_one_slice(predictor: Predictor, lesion: np.ndarray) -> None:
    rectangle = Box.from_mask(lesion[10])
    assert rectangle is not None
    stack, results = run(predictor, lesion, StackPrompt.from_box3d(10, 10, rectangle))
    assert [result.index for result in results] == [10]
    assert dice(stack[10], lesion[10]) > 0.97


def test_key_slices_are_taken_as_they_are(predictor: Predictor, lesion: np.ndarray) -> None:
    keys = {index: Box.from_mask(lesion[index]) for index in (FIRST, 9, LAST)}
    stack, results = run(predictor, lesion, StackPrompt(keys))  # type: ignore[arg-type]
    assert dice(stack, lesion) > 0.93
    by_index = {result.index: result for result in results}
    assert {index: by_index[index].box for index in keys} == keys
    assert [result.index for result in results if result.key] == sorted(keys)


def test_between_key_slices_the_object_is_followed_where_it_moves(predictor: Predictor) -> None:
    # An oblique tube: by the last slice it is nowhere near where it began.
    tube = np.zeros((21, 80, 120), bool)
    for k in range(21):
        tube[k, 30:45, 5 + 5 * k : 20 + 5 * k] = True
    keys = {index: Box.from_mask(tube[index]) for index in (0, 10, 20)}
    stack, _results = run(predictor, tube, StackPrompt(keys, slice_range=(0, 20)))  # type: ignore[arg-type]
    assert dice(stack, tube) > 0.9


def test_key_slices_are_not_changed_by_the_slices_beside_them(predictor: Predictor, lesion: np.ndarray) -> None:
    # A wedge is missing on the middle key slice, and only there.
    image = lesion.copy()
    image[9, 26:35, 40:46] = False
    keys = {index: Box.from_mask(lesion[index]) for index in (FIRST, 9, LAST)}
    stack, _results = run(predictor, image, StackPrompt(keys))  # type: ignore[arg-type]
    assert np.array_equal(stack[9], image[9])


def test_between_key_slices_a_tip_does_not_mislead(predictor: Predictor, lesion: np.ndarray) -> None:
    # The rectangle of the lowest key slice is one pixel; the object above it is large.
    tip = np.flatnonzero(lesion.any(axis=(1, 2)))[0]
    keys = {int(tip): Box(35, 30, 35, 30), 10: Box.from_mask(lesion[10])}
    stack, _results = run(predictor, lesion, StackPrompt(keys, slice_range=(int(tip), 10)))  # type: ignore[arg-type]
    assert dice(stack[tip + 1 : 11], lesion[tip + 1 : 11]) > 0.85


def test_an_empty_slice_is_sure_of_nothing(predictor: Predictor) -> None:
    nothing = np.zeros(SHAPE, bool)
    stack, results = run(predictor, nothing, StackPrompt.from_box3d(3, 8, Box(10, 10, 30, 30)))
    assert not stack.any()
    assert all(result.needs_review and 0 <= result.confidence <= 0.5 for result in results)


def test_every_slice_says_how_sure_it_is(predictor: Predictor, lesion: np.ndarray) -> None:
    _stack, results = run(predictor, lesion, box3d(lesion))
    assert all(0 <= result.confidence <= 1 for result in results)
    middle = next(result for result in results if result.key)
    assert not middle.needs_review


def test_a_prompt_outside_the_stack_is_refused_before_anything_runs(predictor: Predictor, lesion: np.ndarray) -> None:
    with pytest.raises(InputError):
        run(predictor, lesion, StackPrompt({25: Box(0, 0, 5, 5)}))
    assert predictor.timings.encoder_calls == 0


def test_slices_outside_the_reach_are_never_read(predictor: Predictor, lesion: np.ndarray) -> None:
    source = stack_of(lesion)
    read = []
    inner = source.slice_uint8
    source.slice_uint8 = lambda index: read.append(index) or inner(index)  # type: ignore[method-assign]
    list(propagate(source, box3d(lesion), predictor))
    assert set(read) == set(range(FIRST, LAST + 1))


def test_each_slice_is_encoded_once(predictor: Predictor, lesion: np.ndarray) -> None:
    run(predictor, lesion, box3d(lesion))
    assert predictor.timings.encoder_calls == LAST - FIRST + 1
    run(predictor, lesion, box3d(lesion))
    assert predictor.timings.encoder_calls == LAST - FIRST + 1, "a second run finds every embedding in the cache"


def test_settings_of_the_model_apply_unless_others_are_given(predictor: Predictor, lesion: np.ndarray) -> None:
    predictor.changed_settings = {"confidence": {"review_below": 1.1}}
    source, prompt = stack_of(lesion), box3d(lesion)
    assert all(result.needs_review for result in propagate(source, prompt, predictor))
    assert not all(result.needs_review for result in propagate(source, prompt, predictor, PropagationSettings()))
