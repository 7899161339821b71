"""The ablation changes every setting that can change a mask, one at a time, and scores the masks that come of it."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from MedSAMSlicerLib.engine.inference.embedding_cache import EmbeddingCache
from MedSAMSlicerLib.engine.model_choice import ModelChoice
from MedSAMSlicerLib.engine.propagation.settings import BoxFitSettings, PropagationSettings
from MedSAMSlicerLib.evaluation.cases import Case
from MedSAMSlicerLib.evaluation.simulated_prompts import PromptKind
from support.shapes import ellipsoid
from support.threshold_model import load_threshold_model, threshold_predictor

TRUTH = ellipsoid((14, 50, 60), (6.5, 25.0, 30.0), (5.4, 12.0, 15.0))
# These change the confidence of a slice, how its jittered boxes are drawn or what the user is told, and no mask; the last
# ones only masks of models with an adapter.
WITHOUT_INFLUENCE = {
    *(f"confidence.{name}" for name in ("middle", "middle_smoothed", "steepness", "review_below")),
    *(f"jitter.{name}" for name in ("largest_shift", "smallest_shift", "disputed_below")),
    *(f"box_fit.{field.name}" for field in dataclasses.fields(BoxFitSettings)),
    "extent_by_base",
    "outward.smallest_base_dice",
    *(f"pixels.{name}" for name in ("in_box", "between_keys", "outward", "least_likeness")),
}


@pytest.fixture
def ablation(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(repository / "benchmarks"))
    module = importlib.import_module("ablation")

    def load(choice: ModelChoice, cache: EmbeddingCache) -> Any:
        return threshold_predictor(cache), load_threshold_model(choice)[1]

    monkeypatch.setattr(module, "load_predictor", load)
    return module


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """An object with a part on some slices that is as bright as itself and does not belong to it."""
    shown = TRUTH.copy()
    shown[8:, 20:24, :] = True
    voxels = np.where(shown, 200, 50).astype(np.int16)
    voxels[0, 0, 0], voxels[0, 0, 1] = 0, 255
    for name, array in (("image", voxels), ("label", TRUTH.astype(np.uint8))):
        image = sitk.GetImageFromArray(array)
        image.SetSpacing((1.0, 1.0, 3.0))
        sitk.WriteImage(image, str(tmp_path / f"{name}.nrrd"))
    return Case("phantom1", "CT", tmp_path / "image.nrrd", tmp_path / "label.nrrd", "1", "K", "127.5,255")


def paths(settings: Any, prefix: str = "") -> Iterator[tuple[str, float]]:
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            yield from paths(value, f"{prefix}{field.name}.")
        elif value is not None:  # None: off by default, with nothing below it
            yield f"{prefix}{field.name}", value


def test_every_setting_that_can_change_a_mask_is_varied_below_and_above_its_default(ablation: Any) -> None:
    defaults = dict(paths(PropagationSettings()))
    changes = {path: values for of_kind in ablation.CHANGES.values() for path, values in of_kind.items()}
    assert changes.keys() == defaults.keys() - WITHOUT_INFLUENCE
    for path, (lower, upper) in changes.items():
        assert lower < defaults[path] < upper, path


def test_a_variant_changes_one_setting_and_no_other(ablation: Any) -> None:
    for variant in ablation.variants_of(PromptKind.parse("box3d"))[1:]:
        before, after = dict(paths(PropagationSettings())), dict(paths(variant.settings(PropagationSettings())))
        assert [path for path in before if before[path] != after[path]] == [variant.path]
        assert after[variant.path] == variant.value


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("box3d", "in_box.median_box.tolerance", 0.1),
        ("midslice", "outward.largest_change", 1.0),
        ("keyslices:3", "between_keys.bulge", 0.5),
    ],
)
def test_changing_a_setting_changes_what_is_measured(
    ablation: Any, case: Case, kind: str, path: str, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ablation.CHANGES, kind.partition(":")[0], {path: (value,)})
    asked = []
    monkeypatch.setattr(
        ablation, "propagate", lambda *given, run=ablation.propagate: asked.append(given[-1]) or run(*given)
    )
    defaults, changed = ablation.run_case(case, PromptKind.parse(kind))
    assert asked == [PropagationSettings(), ablation.with_setting(PropagationSettings(), path, value)]
    assert 0.5 < defaults.dsc <= 1 and defaults.slices >= 10 and defaults.calls > 0
    assert 0.5 < changed.dsc <= 1 and changed.calls > 0


def test_a_setting_is_chosen_without_the_data_set_that_it_is_used_on(ablation: Any) -> None:
    variants = [ablation.Variant(), ablation.Variant("outward.half_length", 0.9)]
    # The first set alone would choose the default, the second the other value.
    scores = np.array([[0.9, 0.5], [0.3, 0.8]])
    ((path, held_out, others),) = ablation.chosen_without(scores, np.array(["liver", "lung"]), variants)
    assert path == "outward.half_length" and held_out == pytest.approx((0.5 + 0.3) / 2)
    assert others == ["liver 0.9"]
