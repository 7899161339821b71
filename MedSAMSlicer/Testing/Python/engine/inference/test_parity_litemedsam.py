"""LiteMedSAM gives what the authors' own code gives, step by step, with the real weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from MedSAMSlicerLib.engine.inference.predictor import Predictor, load_predictor
from MedSAMSlicerLib.engine.masks import dice
from MedSAMSlicerLib.engine.model_choice import ModelChoice
from MedSAMSlicerLib.engine.models.litemedsam import FAMILY
from MedSAMSlicerLib.engine.prompts import Box
from MedSAMSlicerLib.evaluation.cvpr24_baseline import segment_as_authors
from support.parity import ALL, embedding_difference

INPUTS = ("ct_sarcoma", "mr_brain", "mr_hippo", "rgb_fundus")
VOLUMES = ("ct_lung2", "ct_sarcoma002", "mr_brain1", "mr_hippo001")
# A quarter of a minute and more.
LONG = ("ct_lung2", "ct_sarcoma002", "mr_hippo001")


@pytest.fixture(scope="module")
def predictor(litemedsam_weights: Path) -> Predictor:
    return load_predictor(ModelChoice("litemedsam", str(litemedsam_weights), device="cpu", runtime="torch"))[0]


def test_parameters_have_the_names_and_shapes_of_the_authors_file(shared_dir: Path) -> None:
    theirs = json.loads((shared_dir / "reference" / "litemedsam__state_dict.json").read_text())
    ours = FAMILY.build_network().state_dict()
    assert {name: list(tensor.shape) for name, tensor in ours.items()} == {name: shape for name, shape, _ in theirs}


@pytest.mark.parametrize("name", INPUTS)
def test_a_slice_gives_the_authors_numbers(shared_dir: Path, predictor: Predictor, name: str) -> None:
    reference = np.load(shared_dir / "reference" / f"litemedsam__{name}.npz")
    image, box = reference["image"], Box(*reference["box"].tolist())

    assert np.abs(FAMILY.prepare(image) - reference["model_input"][0]).max() <= 1e-6
    assert embedding_difference(predictor.embed(image), reference) <= 1e-5
    assert np.array_equal(FAMILY.network_box(box, *image.shape[:2]), reference["box_256"])
    prediction = predictor.predict(image, box)
    assert np.abs(prediction.low_res_logits - reference["low_res_logits"][0, 0]).max() <= 5e-4
    assert abs(prediction.predicted_iou - reference["iou"][0]) <= 1e-6
    assert dice(prediction.mask, reference["mask"]) >= 0.999


class GreyStack:
    """uint8 slices as the reference files hold them."""

    def __init__(self, slices: np.ndarray, spacing_xyz: np.ndarray) -> None:
        self.slices = slices
        self.shape = slices.shape
        self.spacing = tuple(spacing_xyz[::-1])

    def slice_uint8(self, index: int) -> np.ndarray:
        return self.slices[index]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", [pytest.param(name, marks=ALL if name in LONG else ()) for name in VOLUMES])
def test_a_volume_goes_the_authors_way(shared_dir: Path, predictor: Predictor, name: str) -> None:
    reference = np.load(shared_dir / "reference" / f"litemedsam3d__{name}.npz")
    stack = GreyStack(reference["imgs"], reference["spacing"])
    labels = np.zeros(stack.shape, np.uint8)
    trace = []
    for number, (x0, y0, z0, x1, y1, z1) in enumerate(reference["boxes"].tolist(), start=1):
        for step in segment_as_authors(stack, predictor, z0, z1, Box(x0, y0, x1, y1), number):
            labels[step.index][step.mask] = number
            trace.append((number, step.index, *step.network_box, step.predicted_iou))

    assert len(trace) == len(reference["trace"])
    difference = np.abs(np.array(trace) - reference["trace"])
    assert difference[:, :6].max() == 0, "slices are visited in another order, or with other boxes"
    assert difference[:, 6].max() <= 5e-6
    for number in range(1, len(reference["boxes"]) + 1):
        assert dice(labels == number, reference["segs"] == number) >= 0.999
