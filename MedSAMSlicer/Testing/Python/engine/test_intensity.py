"""Windows show models what the authors' preprocessing showed them, and never touch the source."""

from __future__ import annotations

import numpy as np
import pytest

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.engine.finite import check_finite_in_prompt
from MedSAMSlicerLib.engine.intensity import (
    CT_OFFSETS,
    PERCENTILES,
    WindowedStack,
    choose_window,
)
from MedSAMSlicerLib.engine.prompts import Box, Points, SlicePrompt, StackPrompt
from MedSAMSlicerLib.engine.stack import ArrayStack


def stack(voxels: np.ndarray) -> ArrayStack:
    return ArrayStack(voxels, (1.0, 1.0, 1.0), "K")


def shown(voxels: np.ndarray, wanted: str = "auto", modality: str | None = None) -> np.ndarray:
    source = WindowedStack(stack(voxels), choose_window(wanted, stack(voxels), modality))
    return np.stack([source.slice_uint8(k) for k in range(len(voxels))])


def as_published(voxels: np.ndarray, lower: float, upper: float) -> np.ndarray:
    """The steps as the authors describe them: clip, stretch the clipped volume to 0..255, cut fractions off."""
    clipped = np.clip(voxels.astype(np.float64), lower, upper)
    return ((clipped - clipped.min()) / (clipped.max() - clipped.min()) * 255).astype(np.uint8)


@pytest.fixture
def ct() -> np.ndarray:
    return np.random.default_rng(3).integers(-1024, 1500, (4, 30, 20)).astype(np.int16)


@pytest.fixture
def mr() -> np.ndarray:
    voxels = np.random.default_rng(4).gamma(2, 150, (5, 40, 30)).astype(np.int16)
    voxels[:, :8] = 0
    return voxels


def test_ct_is_known_by_its_values_and_gets_the_soft_tissue_window(ct: np.ndarray) -> None:
    assert choose_window("auto", stack(ct)).name == "soft-tissue"
    assert np.array_equal(shown(ct), as_published(ct, -160, 240))


def test_ct_without_air_is_known_by_its_modality(ct: np.ndarray) -> None:
    liver = np.clip(ct, 0, 200)
    assert choose_window("auto", stack(liver), "CT").name == "soft-tissue"
    assert choose_window("auto", stack(liver), "MR").name == "percentiles"
    # The volume's own range is narrower than the window: the authors stretch it.
    assert np.array_equal(shown(liver, "auto", "CT"), as_published(liver, -160, 240))
    assert shown(liver, "auto", "CT").max() == 255


def test_mr_is_stretched_between_percentiles_of_its_foreground(mr: np.ndarray) -> None:
    lower, upper = np.percentile(mr[mr > 0], PERCENTILES)
    expected = as_published(mr, lower, upper)
    expected[mr == 0] = 0
    assert np.array_equal(shown(mr), expected)


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_percentiles_are_exact_for_every_voxel_type(mr: np.ndarray, dtype: type) -> None:
    voxels = mr.astype(dtype) * (1 if np.issubdtype(dtype, np.integer) else dtype(0.37))
    window = choose_window("auto", stack(voxels))
    assert (window.lower, window.upper) == pytest.approx(
        tuple(np.percentile(voxels[voxels > 0], PERCENTILES)), rel=1e-6
    )


def test_a_z_scored_brain_keeps_its_negative_half() -> None:
    rng = np.random.default_rng(5)
    voxels = rng.normal(0, 1, (4, 40, 40)).astype(np.float32)
    background = np.float32(voxels.min() - 1)
    voxels[:, :15] = background
    grey = shown(voxels)
    assert (grey[:, :15] == 0).all()
    brain = voxels[:, 15:]
    assert (grey[:, 15:][brain < -0.5] > 0).mean() > 0.9, "clipping at zero would blacken half of the brain"


def test_small_negative_values_from_resampling_are_background() -> None:
    rng = np.random.default_rng(6)
    voxels = rng.gamma(2, 100, (4, 40, 40))
    voxels[:, :15] = rng.uniform(-3, 0, voxels[:, :15].shape)
    window = choose_window("auto", stack(voxels))
    assert (window.lower, window.upper) == pytest.approx(tuple(np.percentile(voxels[voxels > 0], PERCENTILES)))


def test_presets_and_level_with_width(ct: np.ndarray) -> None:
    assert np.array_equal(shown(ct, "lung"), as_published(ct, -1350, 150))
    assert np.array_equal(shown(ct, "100,300"), as_published(ct, -50, 250))
    assert choose_window("lung", stack(ct)).describe() == "lung (level -600, width 1500)"
    assert choose_window("-400,1200", stack(ct)).describe() == "level -400, width 1200"


def test_the_source_is_not_touched(ct: np.ndarray) -> None:
    before = ct.copy()
    ct.flags.writeable = False
    shown(ct)
    shown(ct, "brain")
    assert np.array_equal(ct, before)


def test_a_nearly_binary_image_can_be_seen() -> None:
    voxels = np.zeros((3, 20, 20), np.uint8)
    voxels[:, 5:15, 5:15] = 1
    grey = shown(voxels)
    assert (grey[voxels == 1] == 255).all() and (grey[voxels == 0] == 0).all()


@pytest.mark.parametrize("wanted", ["bones", "40", "40,", "40,0", "40,-10", "nan,400", "1,2,3"])
def test_an_unknown_window_is_refused_with_the_known_ones(ct: np.ndarray, wanted: str) -> None:
    with pytest.raises(InputError, match=r"LEVEL,WIDTH"):
        choose_window(wanted, stack(ct))


def test_a_window_beside_the_image_is_refused(ct: np.ndarray) -> None:
    with pytest.raises(InputError, match="shows nothing"):
        choose_window("5000,100", stack(ct))


def test_constant_images_and_images_without_a_number_are_refused(mr: np.ndarray) -> None:
    with pytest.raises(InputError, match="every voxel has the value 7"):
        choose_window("auto", stack(np.full((2, 3, 4), 7)))
    with pytest.raises(InputError, match="no voxel of the image is a finite number"):
        choose_window("auto", stack(np.full(mr.shape, np.nan)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("wanted", ["auto", "200,300"])
def test_voxels_that_are_no_numbers_are_background(mr: np.ndarray, bad: float, wanted: str) -> None:
    broken = mr.astype(np.float32)
    broken[0], broken[2, 3, 4] = bad, bad
    without = np.where(np.isfinite(broken), broken, 0)
    np.testing.assert_array_equal(shown(broken, wanted), shown(without, wanted))


class TestCtStoredWithAnOffset:
    """Hounsfield units plus a constant, and no rescale intercept."""

    @pytest.fixture
    def body(self) -> np.ndarray:
        """HU: air, lung, fat and soft tissue, some bone; as many voxels as in a thorax."""
        random = np.random.default_rng(8)
        means = random.choice([-1000, -800, -100, 40, 400], p=[0.3, 0.2, 0.15, 0.32, 0.03], size=(6, 40, 40))
        voxels = means + random.normal(0, 8, means.shape)
        voxels[0, 0, 0], voxels[0, 0, 1] = -1000, 900
        return np.maximum(voxels, -1000).round().astype(np.int16)

    @pytest.mark.parametrize("offset", CT_OFFSETS)
    @pytest.mark.parametrize("modality", ["CT", None])
    @pytest.mark.parametrize("wanted", ["auto", "lung"])
    def test_it_is_seen_as_without(self, body: np.ndarray, offset: int, modality: str | None, wanted: str) -> None:
        stored = (body + offset).astype(np.uint16)
        np.testing.assert_array_equal(shown(stored, wanted, modality), shown(body, wanted))
        window = choose_window(wanted, stack(stored), modality)
        assert f"plus about {offset}" in window.note
        assert ("soft-tissue" if wanted == "auto" else "lung") in window.describe()

    def test_a_window_of_the_users_own_is_not_moved(self, body: np.ndarray) -> None:
        window = choose_window("1040,400", stack((body + 1024).astype(np.uint16)), "CT")
        assert (window.lower, window.upper, window.note) == (840, 1240, "")

    def test_an_mr_that_reaches_as_far_is_no_ct(self) -> None:
        random = np.random.default_rng(9)
        voxels = np.where(
            random.random((6, 40, 40)) < 0.3, random.gamma(2, 10, (6, 40, 40)), random.gamma(4, 220, (6, 40, 40))
        )
        assert choose_window("auto", stack(voxels.astype(np.int16))).name == "percentiles"

    def test_other_modalities_are_left_alone(self, body: np.ndarray) -> None:
        assert choose_window("auto", stack((body + 1024).astype(np.uint16)), "MR").name == "percentiles"


def test_colour_is_shown_as_it_is() -> None:
    colours = np.random.default_rng(1).integers(20, 200, (2, 5, 6, 3), dtype=np.uint8)
    np.testing.assert_array_equal(shown(colours), colours)
    with pytest.raises(InputError, match="colour image has no window"):
        choose_window("lung", stack(colours))


class TestNumbersInThePrompt:
    @pytest.fixture
    def values(self, mr: np.ndarray) -> np.ndarray:
        values = mr.astype(np.float32)
        values[2, 10, 12] = np.nan
        return values

    @pytest.mark.parametrize(
        "prompt",
        [
            StackPrompt({3: Box(10, 8, 14, 12)}, (1, 4), Box(10, 8, 14, 12)),
            StackPrompt({2: Box(12, 10, 14, 12)}),
            StackPrompt({2: SlicePrompt(points=Points(((12.2, 9.8),), (True,)))}),
            StackPrompt({1: Box(10, 8, 14, 12), 4: Box(20, 20, 25, 25)}),
            StackPrompt({4: Box(10, 8, 14, 12)}, (1, 4)),
        ],
    )
    def test_a_voxel_in_it_that_is_none_is_named(self, values: np.ndarray, prompt: StackPrompt) -> None:
        with pytest.raises(InputError, match=r"slice 2 .*column 12, row 10"):
            check_finite_in_prompt(stack(values), prompt)

    @pytest.mark.parametrize(
        "prompt",
        [
            StackPrompt({3: Box(10, 8, 14, 12)}, (3, 4), Box(10, 8, 14, 12)),
            StackPrompt({3: Box(10, 8, 14, 12)}, (1, 4), Box(13, 8, 14, 12)),
            StackPrompt({3: Box(10, 8, 14, 12), 2: Box(0, 0, 5, 5)}),
        ],
    )
    def test_outside_of_it_they_do_not_matter(self, values: np.ndarray, prompt: StackPrompt) -> None:
        check_finite_in_prompt(stack(values), prompt)
