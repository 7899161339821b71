"""The Python API: prompts of every kind on a model whose results are known, and the same voxels as the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

import MedSAMSlicerLib.api as medsam
from MedSAMSlicerLib.cli.main import main
from MedSAMSlicerLib.engine.environment import child_environment
from MedSAMSlicerLib.engine.intensity import Window, WindowedStack
from MedSAMSlicerLib.engine.masks import dice
from MedSAMSlicerLib.engine.model_choice import LoadedModel
from MedSAMSlicerLib.engine.models.catalogue import CATALOGUE
from MedSAMSlicerLib.engine.prompts import StackPrompt
from MedSAMSlicerLib.engine.propagation.propagate import propagate
from MedSAMSlicerLib.engine.serving import service
from MedSAMSlicerLib.engine.serving.service import SegmentationService
from MedSAMSlicerLib.engine.stack import ArrayStack
from support.component_model import component_predictor, load_component_model
from support.shapes import ellipsoid

SHAPE = (7, 64, 90)
SPACING = (1.0, 1.0, 3.0)
WINDOW = (165.0, 110.0)
LEFT, RIGHT = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
# Upright objects on slices 1 to 5, with the same section on each.
LEFT[1:6] = ellipsoid((1, *SHAPE[1:]), (0, 30, 22), (1, 12, 12))
RIGHT[1:6] = ellipsoid((1, *SHAPE[1:]), (0, 30, 65), (1, 12, 12))
BOX_RIGHT = ((51, 79), (16, 44), (1, 5))


@pytest.fixture
def image() -> medsam.Image:
    """Two bright objects. Slices differ in a dark pixel: embeddings are stored by content, and encodings are counted."""
    voxels = np.where(LEFT | RIGHT, 200, 20).astype(np.int16)
    voxels[:, 0, 0] = 112 + 2 * np.arange(len(voxels))
    return medsam.Image.from_array(voxels, spacing=SPACING)


@pytest.fixture
def segment(monkeypatch: pytest.MonkeyPatch, image: medsam.Image) -> Callable[..., medsam.Segmentation]:
    """`segment` with the network of SAM-Med2D replaced by one that finds the bright components that prompts select."""
    monkeypatch.setattr(service, "load_predictor", load_component_model)

    def run(image: medsam.Image = image, **options: Any) -> medsam.Segmentation:
        return medsam.segment(image, **{"model": "sam_med2d", "window": WINDOW, **options})

    return run


class TestPrompts:
    @pytest.mark.parametrize(
        ("axis", "prompt"),
        [
            ("K", StackPrompt.from_box3d(1, 5, medsam.Box(51, 16, 79, 44))),
            ("J", StackPrompt.from_box3d(16, 44, medsam.Box(51, 1, 79, 5))),
            ("I", StackPrompt.from_box3d(51, 79, medsam.Box(16, 1, 44, 5))),
        ],
    )
    def test_a_3d_box_is_what_the_engine_makes_of_it(
        self, segment: Callable[..., medsam.Segmentation], image: medsam.Image, axis: str, prompt: StackPrompt
    ) -> None:
        result = segment(box=BOX_RIGHT, axis=axis)
        source = WindowedStack(ArrayStack(image.voxels, SPACING, axis), Window(110, 200, "level,width"))
        expected = np.zeros(SHAPE, bool)
        for one in propagate(source, prompt, component_predictor()):
            np.moveaxis(expected, {"K": 0, "J": 1, "I": 2}[axis], 0)[one.index] = one.mask
        np.testing.assert_array_equal(result.mask, expected)
        assert dice(result.mask, RIGHT) > 0.9 and result.mask.dtype == bool and result.axis == axis

    def test_the_axis_of_the_coarsest_spacing_is_the_default(
        self, segment: Callable[..., medsam.Segmentation], image: medsam.Image
    ) -> None:
        assert segment(box=BOX_RIGHT).axis == "K"
        finer = medsam.Image.from_array(image.voxels, spacing=(2.0, 1.0, 1.0))
        assert segment(finer, box=BOX_RIGHT).axis == "I"

    @pytest.mark.parametrize(
        "rectangle",
        [
            (51, 16, 79, 44),
            medsam.Box(51, 16, 79, 44),
            {"box": (51, 16, 79, 44)},
            medsam.SlicePrompt(medsam.Box(51, 16, 79, 44)),
        ],
    )
    def test_a_rectangle_on_one_slice_in_every_form(
        self, segment: Callable[..., medsam.Segmentation], rectangle: Any
    ) -> None:
        np.testing.assert_array_equal(segment(key_slices={3: rectangle}).mask, RIGHT)

    def test_key_masks_are_kept_voxel_for_voxel(self, segment: Callable[..., medsam.Segmentation]) -> None:
        corrected = np.zeros(SHAPE, np.uint8)
        corrected[3, 20:30, 60:80], corrected[5, 0, 89] = 4, 1
        result = segment(key_masks=corrected, model="litemedsam")
        np.testing.assert_array_equal(result.mask[[3, 5]], corrected[[3, 5]] > 0)
        assert result.slices_to_review == [] or not {3, 5} & set(result.slices_to_review)
        ended = segment(box=BOX_RIGHT, key_masks={2: RIGHT[2], 4: RIGHT[0]}, consensus=2)
        assert not ended.mask[4:].any() and ended.mask[3].any()
        assert not {2, 4} & set(ended.consensus)

    def test_a_slice_range_ends_the_propagation(self, segment: Callable[..., medsam.Segmentation]) -> None:
        result = segment(key_slices={3: (51, 16, 79, 44)}, slice_range=(2, 4))
        expected = RIGHT.copy()
        expected[[1, 5]] = False
        np.testing.assert_array_equal(result.mask, expected)
        assert [one.index for one in result.slices] == [2, 3, 4]

    def test_points_choose_the_object(self, segment: Callable[..., medsam.Segmentation]) -> None:
        np.testing.assert_array_equal(segment(points=[(65, 30, 3)]).mask, RIGHT)
        both = {"box": ((5, 85), (10, 50), (1, 5)), "points": [(65, 30, 3), (22, 30, 3)]}
        result = segment(**both, point_labels=[False, True])
        np.testing.assert_array_equal(result.mask[3], LEFT[3])

    def test_a_rough_mask_chooses_the_object(self, segment: Callable[..., medsam.Segmentation]) -> None:
        rough = np.zeros(SHAPE, bool)
        rough[3, 28:33, 60:70] = True
        np.testing.assert_array_equal(segment(mask=rough).mask, RIGHT)

    def test_no_voxel_outside_a_rotated_roi(
        self, segment: Callable[..., medsam.Segmentation], image: medsam.Image, tmp_path: Path
    ) -> None:
        turned = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1.0]])
        center = (image.ijk_to_lps @ [70, 34, 3, 1])[:3]
        markup = {"type": "ROI", "coordinateSystem": "LPS", "center": center.tolist(), "size": [17.0, 15.0, 8.0]}
        markup["orientation"] = turned.ravel().tolist()
        path = tmp_path / "R.mrk.json"
        path.write_text(json.dumps({"markups": [markup]}))
        k, j, i = np.indices(SHAPE)
        along = (np.stack([i, j, k], axis=-1) * SPACING - center) @ turned
        inside = (np.abs(along) <= np.array([17, 15, 8]) / 2).all(axis=-1)
        mask = segment(roi=path).mask
        assert not (mask & ~inside).any() and dice(mask, RIGHT & inside) > 0.95
        assert 0 < (RIGHT & inside).sum() < inside.sum()
        with pytest.raises(medsam.InputError, match="a box and an ROI were given"):
            segment(roi=path, box=BOX_RIGHT)

    def test_a_finished_prompt_is_the_same_as_its_parts(
        self, segment: Callable[..., medsam.Segmentation], image: medsam.Image
    ) -> None:
        prompt = medsam.make_prompt(image, box=BOX_RIGHT, axis="J")
        result = segment(prompt=prompt)
        np.testing.assert_array_equal(result.mask, segment(box=BOX_RIGHT, axis="J").mask)
        assert result.prompt is prompt and result.axis == "J"
        with pytest.raises(medsam.InputError, match="prompt and box, axis were given"):
            segment(prompt=prompt, box=BOX_RIGHT, axis="J")


class TestResult:
    def test_volume_geometry_and_provenance(
        self, segment: Callable[..., medsam.Segmentation], image: medsam.Image
    ) -> None:
        result = segment(box=BOX_RIGHT)
        assert result.mask.any() and result.volume_ml == pytest.approx(result.mask.sum() * 3 / 1000)
        np.testing.assert_array_equal(result.affine, image.ijk_to_ras)
        assert (result.model.model, result.model.weights_sha256) == ("sam_med2d", "0" * 64)
        assert (result.window.lower, result.window.upper) == (110, 200), "within the values of the image"
        assert result.timings.encoder_calls == 5 and result.notes == () and result.consensus == {}
        assert repr(result) == f"Segmentation({result.volume_ml:.3g} ml on 5 slices along K, sam_med2d)"

    def test_slices_in_order_with_whole_masks(self, segment: Callable[..., medsam.Segmentation]) -> None:
        result = segment(box=BOX_RIGHT, axis="J")
        assert [one.index for one in result.slices] == list(range(16, 45))
        for one in result.slices:
            np.testing.assert_array_equal(one.mask, result.mask[:, one.index])

    def test_slices_to_review_are_those_of_low_confidence(
        self, segment: Callable[..., medsam.Segmentation], image: medsam.Image
    ) -> None:
        faint = image.voxels.copy()
        faint[4:] = 20  # the object ends within its box
        result = segment(medsam.Image.from_array(faint, spacing=SPACING), box=BOX_RIGHT)
        assert result.slices_to_review == [one.index for one in result.slices if one.needs_review] != []

    def test_nothing_found_is_an_empty_mask(self, segment: Callable[..., medsam.Segmentation]) -> None:
        result = segment(points=[(45, 5, 3)])
        assert not result.mask.any() and result.volume_ml == 0

    def test_rectangles_that_differ_slightly_are_compared(self, segment: Callable[..., medsam.Segmentation]) -> None:
        result = segment(box=BOX_RIGHT, consensus=3)
        assert set(result.consensus) == {one.index for one in result.slices if one.box is not None}
        assert all(0 <= one.agreement <= 1 for one in result.consensus.values())

    def test_a_written_segmentation_is_on_the_grid_of_the_image(
        self, segment: Callable[..., medsam.Segmentation], image: medsam.Image, tmp_path: Path
    ) -> None:
        result = segment(box=BOX_RIGHT, axis="I")
        for name in ("tumour.seg.nrrd", "tumour.nii.gz"):
            medsam.write_segmentation(tmp_path / name, result, name="GTV")
            written = sitk.ReadImage(str(tmp_path / name))
            np.testing.assert_array_equal(sitk.GetArrayFromImage(written) > 0, result.mask)
            np.testing.assert_allclose(written.GetSpacing(), SPACING)
        written = sitk.ReadImage(str(tmp_path / "tumour.seg.nrrd"))
        assert written.GetMetaData("Segment0_Name") == "GTV"
        with pytest.raises(medsam.InputError, match="unknown ending"):
            medsam.write_segmentation(tmp_path / "tumour.stl", result)


class TestModels:
    def test_a_second_prompt_on_a_loaded_model_encodes_nothing(
        self, segment: Callable[..., medsam.Segmentation]
    ) -> None:
        model = medsam.load_model("sam_med2d")
        assert model.loaded == LoadedModel("sam_med2d", "0" * 64, "cpu", "clicked")
        assert model.prompts == {"box", "points", "mask"}
        assert segment(box=BOX_RIGHT, model=model).timings.encoder_calls == 5
        again = segment(box=((5, 40), (10, 50), (1, 5)), model=model)
        assert again.timings.encoder_calls == 0 and again.timings.decoder_calls > 0
        assert dice(again.mask, LEFT) > 0.95
        model.forget_embeddings()
        assert segment(box=BOX_RIGHT, model=model).timings.encoder_calls == 5

    def test_options_of_loading_do_not_go_with_a_loaded_model(
        self, segment: Callable[..., medsam.Segmentation]
    ) -> None:
        with pytest.raises(medsam.InputError, match="belong to load_model"):
            segment(box=BOX_RIGHT, model=medsam.load_model("sam_med2d"), device="cpu")


class TestCallbacks:
    def test_every_slice_is_reported_once_as_it_is_found(self, segment: Callable[..., medsam.Segmentation]) -> None:
        found: list[int] = []
        result = segment(key_slices={3: (51, 16, 79, 44)}, on_slice=lambda one: found.append(one.index))
        assert found[0] == 3 and sorted(found) == [one.index for one in result.slices]

    def test_an_exception_of_the_caller_ends_the_run_and_stays_what_it_is(
        self, segment: Callable[..., medsam.Segmentation]
    ) -> None:
        found: list[int] = []

        def stop(one: medsam.SliceResult) -> None:
            found.append(one.index)
            raise StopIteration("enough")

        with pytest.raises(StopIteration, match="enough"):
            segment(box=BOX_RIGHT, on_slice=stop)
        assert len(found) == 1


class TestErrors:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({}, "the prompt is empty"),
            ({"roi": "missing.mrk.json"}, "missing.mrk.json does not exist"),
            ({"box": BOX_RIGHT, "axis": "Z"}, "choose I, J or K"),
            ({"box": BOX_RIGHT, "window": "fog"}, "window 'fog' is unknown"),
            ({"box": BOX_RIGHT, "window": (0, -1)}, "width above 0"),
            ({"box": BOX_RIGHT, "model": "unet"}, "'unet'"),
            ({"box": BOX_RIGHT, "consensus": 1}, "2 to 100 rectangles"),
            ({"box": BOX_RIGHT, "consensus": 101}, "2 to 100 rectangles"),
            ({"points": [(65, 30, 3)], "model": "litemedsam"}, "LiteMedSAM was not trained for points"),
        ],
        ids=str,
    )
    def test_a_mistake_is_one_line_that_says_what_to_do(
        self, segment: Callable[..., medsam.Segmentation], options: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(medsam.InputError, match=words) as error:
            segment(**options)
        assert "\n" not in str(error.value)

    def test_a_prompt_made_for_a_larger_image_is_refused(
        self, segment: Callable[..., medsam.Segmentation], image: medsam.Image
    ) -> None:
        prompt = medsam.make_prompt(image, box=BOX_RIGHT)
        smaller = medsam.Image.from_array(image.voxels[:, :, :60], spacing=SPACING)
        with pytest.raises(medsam.InputError, match="lies outside the slice"):
            segment(smaller, prompt=prompt)

    def test_weights_that_are_missing(
        self, image: medsam.Image, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("MEDSAM_SLICER_CACHE", str(tmp_path))
        with pytest.raises(medsam.WeightsError, match="medsam_vit_b.pth"):
            medsam.segment(image, box=BOX_RIGHT, model="medsam")

    @pytest.mark.parametrize(
        ("failure", "words"), [(MemoryError(), "ran out of memory"), (RuntimeError("boom"), "boom")]
    )
    def test_a_failure_of_the_engine_is_an_error_for_users(
        self,
        segment: Callable[..., medsam.Segmentation],
        monkeypatch: pytest.MonkeyPatch,
        failure: Exception,
        words: str,
    ) -> None:
        def fail(*_: object) -> Any:
            raise failure

        monkeypatch.setattr(SegmentationService, "segment", fail)
        with pytest.raises(medsam.WorkerError, match=words) as error:
            segment(box=BOX_RIGHT)
        assert error.value.__cause__ is failure


@pytest.mark.parametrize(
    ("options", "prompt"),
    [
        (["--box", 51, 79, 16, 44, 1, 5], {"box": BOX_RIGHT}),
        (["--slice", 3, "--rect", 51, 79, 16, 44], {"key_slices": {3: (51, 16, 79, 44)}}),
        (
            ["--slice", 2, "--rect", 51, 79, 16, 44, "--key", "4:53,77,18,42", "--axis", "k"],
            {"key_slices": {2: (51, 16, 79, 44), 4: (53, 18, 77, 42)}, "axis": "K"},
        ),
        (
            ["--axis", "J", "--point", "30:65,3,+", "--point", "30:22,3,-"],
            {"points": [(65, 30, 3), (22, 30, 3)], "point_labels": [True, False], "axis": "J"},
        ),
        (
            ["--box", 5, 85, 10, 50, 1, 5, "--point", "3:65,30,+", "--consensus", 2],
            {"box": ((5, 85), (10, 50), (1, 5)), "points": [(65, 30, 3)], "consensus": 2},
        ),
    ],
    ids=str,
)
def test_the_command_line_gives_the_same_voxels_and_figures(
    segment: Callable[..., medsam.Segmentation],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[object],
    prompt: dict[str, Any],
    image: medsam.Image,
) -> None:
    monkeypatch.setattr("MedSAMSlicerLib.cli.segment.find_weights", lambda *_: tmp_path / "none")
    stored = sitk.GetImageFromArray(image.voxels)
    stored.SetSpacing(SPACING)
    sitk.WriteImage(stored, str(tmp_path / "ct.nrrd"))
    output, report = tmp_path / "out.nrrd", tmp_path / "report.json"
    arguments = ["segment", tmp_path / "ct.nrrd", "--output", output, "--report", report, "--model", "sam_med2d"]
    arguments += ["--window", f"{WINDOW[0]},{WINDOW[1]}", "--quiet", *options]
    assert main([str(one) for one in arguments]) == 0

    result = segment(medsam.read_image(tmp_path / "ct.nrrd"), **prompt)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(output))) > 0, result.mask)
    written = json.loads(report.read_text())
    assert written["volume_ml"] == result.volume_ml and written["axis"] == result.axis
    assert [entry["index"] for entry in written["slices"] if entry["flagged"]] == result.slices_to_review
    assert [entry["confidence"] for entry in written["slices"]] == [one.confidence for one in result.slices]


def test_importing_the_api_needs_neither_slicer_nor_torch() -> None:
    code = "import sys, MedSAMSlicerLib.api; print(sorted({'torch', 'slicer', 'vtk', 'qt'} & sys.modules.keys()))"
    finished = subprocess.run(
        [sys.executable, "-c", code], env=child_environment(), capture_output=True, text=True, check=True
    )
    assert finished.stdout.strip() == "[]"


def test_the_documented_models_are_those_of_the_catalogue() -> None:
    documented = medsam.load_model.__doc__ or ""
    assert [key for key in CATALOGUE if f'"{key}"' not in documented] == []


NONSENSE: list[Any] = [
    None, -1, 1.5, "a", b"a", [], {}, {"a": 1}, [[1, 2], [3, 4]], np.zeros((3, 40, 50)), np.array("a"),
    np.array([None, 1]), float("nan"), object(), ["a", "b", "c"], len, (float("nan"),) * 3,
]  # fmt: skip


def refusals(call: Callable[[Any], object]) -> list[str]:
    """Texts of the errors of a call with each piece of nonsense; every other exception leaves this function."""
    texts = []
    for wrong in NONSENSE:
        try:
            call(wrong)
        except medsam.MedSAMError as error:
            texts.append(str(error))
    return texts


class TestArgumentsOfAWrongType:
    @pytest.mark.parametrize(
        "name",
        ["box", "roi", "key_slices", "points", "point_labels", "mask", "slice_range", "axis", "prompt", "window",
         "consensus", "model", "on_slice"],
    )  # fmt: skip
    def test_of_segment_are_refused_in_one_line(
        self, image: medsam.Image, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def load(*_: object, **__: object) -> None:
            raise medsam.WeightsError("not here")

        monkeypatch.setattr(medsam, "load_model", load)
        prompts = ("box", "roi", "prompt", "key_slices", "points", "mask")
        others = {} if name in prompts else {"box": ((8, 20), (8, 20), (2, 5))}
        texts = refusals(lambda wrong: medsam.segment(image, **{**others, name: wrong}))
        assert len(texts) > 10
        assert [text for text in texts if "\n" in text] == []

    @pytest.mark.parametrize("part", ["box", "points", "mask"])
    def test_of_key_slices_are_refused_in_one_line(self, image: medsam.Image, part: str) -> None:
        texts = refusals(lambda wrong: medsam.make_prompt(image, key_slices={3: {part: wrong}}))
        assert len(texts) > 10
        assert [text for text in texts if "\n" in text] == []

    @pytest.mark.parametrize("name", ["model", "device", "runtime", "embeddings_mb", "embeddings_disk_mb"])
    def test_of_load_model_are_refused_in_one_line(
        self, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("MEDSAM_SLICER_CACHE", str(tmp_path))
        texts = refusals(lambda wrong: medsam.load_model(**{"model": "medsam", name: wrong}))
        assert len(texts) == len(NONSENSE), "None is default only for the disk, and there the weights are missing"
        assert [text for text in texts if "\n" in text] == []

    @pytest.mark.parametrize("name", ["affine", "spacing", "modality", "name"])
    def test_of_an_image_are_refused_in_one_line(self, image: medsam.Image, name: str) -> None:
        others = {} if name in ("affine", "spacing") else {"spacing": SPACING}
        texts = refusals(lambda wrong: medsam.Image.from_array(image.voxels, **{**others, name: wrong}))
        assert len(texts) > 10
        assert [text for text in texts if "\n" in text] == []
        assert len(refusals(lambda wrong: medsam.Image.from_array(wrong, spacing=SPACING))) == len(NONSENSE)

    def test_a_colour_is_refused_in_one_line_and_nothing_is_written(
        self, segment: Callable[..., medsam.Segmentation], tmp_path: Path
    ) -> None:
        result = segment(box=BOX_RIGHT)
        for colour in [*NONSENSE, "red", (1, 0), (1, 0, 2)]:
            with pytest.raises(medsam.InputError, match="the colour is [^\\n]*: give red, green and blue from 0 to 1$"):
                medsam.write_segmentation(tmp_path / "out.seg.nrrd", result, colour=colour)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", [None, np.zeros((3, 3, 3)), "ct.nrrd"], ids=lambda wrong: type(wrong).__name__)
def test_what_is_no_image_is_refused_in_one_line(wrong: Any, tmp_path: Path) -> None:
    with pytest.raises(medsam.InputError, match="give what read_image"):
        medsam.segment(wrong, box=((0, 1), (0, 1), (0, 1)))
    with pytest.raises(medsam.InputError, match="cannot be written"):
        medsam.write_segmentation(tmp_path / "out.nrrd", wrong)


def test_a_path_of_a_wrong_type_is_refused_in_one_line() -> None:
    with pytest.raises(medsam.InputError, match="path"):
        medsam.read_image(5)  # type: ignore[arg-type]
