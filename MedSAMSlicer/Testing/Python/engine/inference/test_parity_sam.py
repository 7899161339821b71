"""SAM gives what the authors' own code gives, with weights filled by the rule of the reference data.

The network takes half a minute for a slice, so one image goes through ViT-B here; `MEDSAM_SLICER_REFERENCE_ALL=1 pytest -k
parity_sam` compares all images with ViT-B and ViT-L. How images and prompts enter the network is compared for all of them
each time. ViT-H has no reference files: it is the same code with other sizes, which are checked.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from MedSAMSlicerLib.engine.inference.predictor import Predictor
from MedSAMSlicerLib.engine.models.catalogue import CATALOGUE
from MedSAMSlicerLib.engine.models.sam import INPUT_SIZE, SAM_VIT_B
from MedSAMSlicerLib.engine.prompts import SlicePrompt
from support.parity import ALL, assert_same_answer, embedding_difference, reference_prompts
from support.seeded_weights import seeded_predictor

INPUTS = ("ct_sarcoma", "mr_brain", "mr_hippo", "rgb_fundus")
ALWAYS = {("sam_vit_b", "rgb_fundus")}
CASES = [
    pytest.param(key, name, marks=() if (key, name) in ALWAYS else ALL)
    for key in ("sam_vit_b", "sam_vit_l")
    for name in INPUTS
]


class OnePredictor:
    """Makes predictors by key and keeps the last one: two large networks are not held at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: tuple[str, Predictor] | None = None

    def of(self, key: str) -> Predictor:
        if self._kept is None or self._kept[0] != key:
            self._kept = None
            spec = CATALOGUE[key]
            self._kept = key, seeded_predictor(self._folder, key, spec.load_family(), spec.prompts)
        return self._kept[1]


@pytest.fixture(scope="module")
def one_predictor(shared_dir: Path) -> OnePredictor:
    return OnePredictor(shared_dir / "reference")


@pytest.mark.parametrize("name", INPUTS)
def test_resizing_and_normalising_give_the_authors_pixels(shared_dir: Path, name: str) -> None:
    reference = np.load(shared_dir / "reference" / f"sam_vit_b__{name}.npz")
    image = reference["image"]
    height, width = SAM_VIT_B.resized(*image.shape[:2])
    assert (height, width) == tuple(reference["input_size"])
    theirs = np.asarray(Image.open(shared_dir / "reference" / f"sam_vit_b__{name}__resized.png"))
    prepared = SAM_VIT_B.prepare(image)
    mean, std = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
    ours = prepared[:, :height, :width].transpose(1, 2, 0) * std + mean
    assert np.abs(ours - (theirs if theirs.ndim == 3 else theirs[..., None])).max() < 1e-4
    assert prepared.shape == (3, INPUT_SIZE, INPUT_SIZE)
    assert not prepared[:, height:].any() and not prepared[:, :, width:].any()
    assert np.abs(prepared[:, ::16, ::16] - reference["model_input_every16"][0]).max() <= 1e-6
    statistics = [f(prepared, axis=(1, 2)) for f in (np.min, np.max)]
    assert np.abs(np.stack(statistics, axis=1) - reference["model_input_stats"][:, 2:]).max() <= 1e-6


@pytest.mark.parametrize("key", ["sam_vit_b", "sam_vit_l"])
@pytest.mark.parametrize("name", INPUTS)
def test_prompts_enter_the_network_as_the_authors_have_them(shared_dir: Path, key: str, name: str) -> None:
    reference = np.load(shared_dir / "reference" / f"{key}__{name}.npz")
    by_points = np.load(shared_dir / "reference" / f"{key}__{name}__points.npz")
    family, (rows, columns) = CATALOGUE[key].load_family(), reference["image"].shape[:2]
    box, points = reference_prompts(reference["box"])
    assert np.array_equal(points.coordinates, by_points["point_coords"])
    assert np.abs(family.network_box(box, rows, columns) - reference["box_1024"]).max() <= 1e-4
    assert np.abs(family.network_points(points, rows, columns) - by_points["points_1024"]).max() <= 1e-4


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("key", "name"), CASES)
def test_a_slice_gives_the_authors_numbers(shared_dir: Path, one_predictor: OnePredictor, key: str, name: str) -> None:
    reference = np.load(shared_dir / "reference" / f"{key}__{name}.npz")
    by_points = np.load(shared_dir / "reference" / f"{key}__{name}__points.npz")
    predictor, image = one_predictor.of(key), reference["image"]
    box, points = reference_prompts(reference["box"])
    assert embedding_difference(predictor.embed(image), reference) <= 1e-5

    prediction = predictor.predict(image, box)
    assert_same_answer(prediction, reference["low_res_logits"][0, 0], reference["iou"][0], reference["mask"])

    several = predictor.predict_prompt(image, SlicePrompt(points=points), multimask=True)
    for candidate, *theirs in zip(
        several.candidates, by_points["low_res_logits"][0], by_points["iou"], by_points["mask"], strict=True
    ):
        assert_same_answer(candidate, *theirs)
    best = int(np.argmax(by_points["iou"]))
    assert several.predicted_iou == several.candidates[best].predicted_iou
    assert np.array_equal(several.mask, several.candidates[best].mask)
    assert predictor.timings.encoder_calls <= len(INPUTS), "each slice is encoded once for all prompts"


def test_vit_h_has_the_sizes_that_its_authors_publish() -> None:
    """From ``build_sam_vit_h`` of the package."""
    import torch
    from segment_anything.build_sam import _build_sam

    with torch.device("meta"):
        theirs = _build_sam(1280, 32, 16, [7, 15, 23, 31])
        ours = CATALOGUE["sam_vit_h"].load_family().build_network()
    shapes = [{name: tuple(t.shape) for name, t in network.state_dict().items()} for network in (ours, theirs)]
    assert shapes[0] == shapes[1]
    blocks = zip(ours.image_encoder.blocks, theirs.image_encoder.blocks, strict=True)
    assert all(one.window_size == other.window_size for one, other in blocks)
