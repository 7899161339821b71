"""A model with an adapter: both runtimes agree, it shares what the base has encoded, and its settings reach the propagation."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from MedSAMSlicerLib.engine.environment import CACHE_VARIABLE, WEIGHTS_VARIABLE
from MedSAMSlicerLib.engine.errors import InputError, WeightsError
from MedSAMSlicerLib.engine.inference.predictor import load_predictor
from MedSAMSlicerLib.engine.jobs.adapter_import import import_adapter
from MedSAMSlicerLib.engine.model_choice import ModelChoice, RunInfo
from MedSAMSlicerLib.engine.models import catalogue
from MedSAMSlicerLib.engine.models.catalogue import CATALOGUE, AdapterFile, all_models, find_model
from MedSAMSlicerLib.engine.models.checkpoints import NetworkFile
from MedSAMSlicerLib.engine.models.family import NetworkPrompt
from MedSAMSlicerLib.engine.models.imported_adapters import imported_path
from MedSAMSlicerLib.engine.models.model_files import verified_files
from MedSAMSlicerLib.engine.models.weight_arrays import read_arrays
from MedSAMSlicerLib.engine.prompts import Box, StackPrompt
from MedSAMSlicerLib.engine.provenance import provenance_text
from MedSAMSlicerLib.engine.runtimes.choose import make_runtime
from MedSAMSlicerLib.engine.serving.service import SegmentationService
from support.adapters import MLP, TOKENS, UPSCALING, adapter_file, changes
from support.shapes import ellipsoid, stack_of
from support.small_families import SMALL_FAMILIES, write_small_weights

pytestmark = pytest.mark.slow

EMBEDDING = np.random.default_rng(1).normal(size=(256, 28, 28)).astype(np.float32)
PROMPTS = [NetworkPrompt(np.array([8, 16, 90, 100], np.float32))]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, and no other place to find weights in but the installed package."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.delenv(WEIGHTS_VARIABLE, raising=False)
    return tmp_path / "cache"


@pytest.fixture
def network(litemedsam_weights: Path) -> NetworkFile:
    return verified_files(CATALOGUE["litemedsam"], litemedsam_weights)


def decoded(network: NetworkFile, runtime: str) -> np.ndarray:
    logits, _ious = make_runtime(runtime, "cpu", network)[0].decode(EMBEDDING, PROMPTS)
    return logits


def test_both_runtimes_apply_the_same_changes(network: NetworkFile, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    adapted = replace(network, adapter=adapter_file(tmp_path / "a.medsam", changes(0.02)))
    openvino, torch, base = decoded(adapted, "openvino"), decoded(adapted, "torch"), decoded(network, "openvino")
    assert np.abs(openvino - torch).max() < 1e-3
    assert np.abs(openvino - base).max() > 0.1


def test_with_an_adapter_of_zeros_the_parameters_are_those_of_the_base(network: NetworkFile, tmp_path: Path) -> None:
    adapted = replace(network, adapter=adapter_file(tmp_path / "a.medsam"))
    before, after = read_arrays(network), read_arrays(adapted)
    assert before.keys() == after.keys() and all(np.array_equal(before[name], after[name]) for name in before)
    assert np.array_equal(decoded(network, "torch"), decoded(adapted, "torch"))


def test_only_the_parameters_that_are_named_change(network: NetworkFile, tmp_path: Path) -> None:
    before = read_arrays(network)
    after = read_arrays(replace(network, adapter=adapter_file(tmp_path / "a.medsam", changes(0.1))))
    assert {name for name in before if not np.array_equal(before[name], after[name])} == {TOKENS, MLP, UPSCALING}


def test_compiled_encoders_are_shared_with_the_base(network: NetworkFile, tmp_path: Path) -> None:
    openvino_runtime = pytest.importorskip("MedSAMSlicerLib.engine.runtimes.openvino_runtime", reason="needs openvino")
    base = make_runtime("openvino", "cpu", network)[0]
    adapted = make_runtime("openvino", "cpu", replace(network, adapter=adapter_file(tmp_path / "a.medsam")))[0]
    assert isinstance(base, openvino_runtime.OpenVINORuntime) and isinstance(adapted, openvino_runtime.OpenVINORuntime)
    assert adapted._encoders is base._encoders


@pytest.fixture(scope="module")
def small_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_weights("litemedsam", tmp_path_factory.mktemp("small"))


class TestSmall:
    """With LiteMedSAM at a smaller input, and weights made by a rule."""

    @pytest.fixture
    def choices(
        self, cache: Path, small_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> tuple[ModelChoice, ModelChoice]:
        """The base and a model with an adapter that the user has imported."""
        base = CATALOGUE["litemedsam"]
        sha256 = hashlib.sha256(small_file.read_bytes()).hexdigest()
        monkeypatch.setitem(CATALOGUE, "litemedsam", replace(base, weights=replace(base.weights, sha256=sha256)))
        monkeypatch.setattr("MedSAMSlicerLib.engine.models.litemedsam.FAMILY", SMALL_FAMILIES["litemedsam"])
        (cache / "weights").mkdir(parents=True)
        os.link(small_file, cache / "weights" / "lite_medsam.pth")
        file = tmp_path / "Our file.medsam"
        confidence = {"middle": -5.0, "middle_smoothed": -5.0}
        adapter_file(file, changes(0.2), confidence=confidence, propagation={"skipping": {"largest_gap_mm": 0}})
        assert import_adapter(file, "livers").key == "livers"
        base, adapted = (ModelChoice(key, device="cpu", runtime="torch") for key in ("litemedsam", "livers"))
        return base, adapted

    def test_changing_the_model_encodes_no_slice_again_and_gives_other_results(
        self, choices: tuple[ModelChoice, ModelChoice]
    ) -> None:
        service = SegmentationService()
        source = stack_of(ellipsoid((2, 64, 64), (0.5, 30.0, 34.0), (1.7, 14.0, 16.0)), (1.0, 1.0, 3.0))
        prompt = StackPrompt.from_box3d(0, 1, Box(15, 12, 55, 48))
        counts, loaded, results = [], [], []
        for choice in (*choices, choices[0]):
            info = RunInfo()
            results.append(list(service.segment(choice, source, prompt, info)))
            counts.append(info.timings.encoder_calls)
            assert info.loaded is not None
            loaded.append(info.loaded)
        assert counts == [2, 0, 0]
        base, adapted, again = loaded
        spec = find_model("livers")
        assert again == base and base.adapter_sha256 == "" and spec.adapter is not None
        assert (adapted.model, adapted.weights_sha256) == ("livers", base.weights_sha256)
        assert adapted.adapter_sha256 == spec.adapter.sha256
        text = provenance_text(adapted, prompt, [])
        assert f"weights SHA-256 {base.weights_sha256}, adapter SHA-256 {adapted.adapter_sha256}" in text
        assert "adapter" not in provenance_text(base, prompt, [])
        ious = [[one.predicted_iou for one in found] for found in results]
        assert ious[0] == ious[2] != ious[1]
        # The adapter sets the middle of the confidence far below anything predicted.
        assert all(one.confidence > 0.99 and not one.needs_review for one in results[1])

    def test_an_imported_adapter_is_a_model_like_all_others(
        self, choices: tuple[ModelChoice, ModelChoice], cache: Path
    ) -> None:
        spec = find_model("livers")
        assert [one.key for one in all_models()] == [*CATALOGUE, "livers"]
        assert (spec.title, spec.licence, spec.base_spec.key) == ("Our livers", "CC-BY-4.0", "litemedsam")
        assert spec.input_size == CATALOGUE["litemedsam"].input_size and not spec.needs_torch
        names = sorted(path.name for path in (cache / "weights").iterdir())
        assert names == ["lite_medsam.pth", "livers.medsam", "livers.medsam.json"]

    def test_only_the_imported_file_with_its_record_is_used(self, choices: tuple[ModelChoice, ModelChoice]) -> None:
        file = imported_path("livers")
        adapter_file(imported_path("kidneys"))
        assert [one.key for one in all_models()] == [*CATALOGUE, "livers"]
        adapter_file(file, changes(0.3))
        with pytest.raises(WeightsError, match="livers.medsam is not the adapter of Our livers.*import it again"):
            load_predictor(choices[1])
        file.unlink()
        with pytest.raises(InputError, match="model 'livers' is unknown"):
            load_predictor(choices[1])
        file.with_name("livers.medsam.json").write_text("[]")
        adapter_file(file)
        assert [one.key for one in all_models()] == list(CATALOGUE)

    def test_a_file_can_be_used_without_import(self, choices: tuple[ModelChoice, ModelChoice], tmp_path: Path) -> None:
        sha256 = adapter_file(tmp_path / "kidneys.medsam", changes(0.1)).sha256
        choice = replace(choices[0], model=str(tmp_path / "kidneys.medsam"))
        loaded = load_predictor(choice)[1]
        assert (loaded.model, loaded.adapter_sha256) == ("kidneys", sha256)

    def test_what_cannot_be_imported_leaves_nothing(
        self, choices: tuple[ModelChoice, ModelChoice], cache: Path, tmp_path: Path
    ) -> None:
        before = sorted((cache / "weights").iterdir())
        refusals: list[tuple[str, dict[str, Any], str]] = [
            ("litemedsam", {}, "litemedsam is a model of this version"),
            ("Our livers", {}, "'Our livers' cannot be the name of a model"),
            ("a", {"base": "medsam"}, "its base is 'medsam', and adapters of litemedsam can be used"),
            ("a", {"base": "livers"}, "its base is 'livers'"),
            ("a", {"base_sha256": "ab" * 32}, f"for weights of LiteMedSAM with sha256 {'ab' * 32}, and these have"),
            ("a", {"confidence": {"mean": 1.0}}, "its setting confidence.mean is unknown"),
            ("a", {"tensors": {"mask_decoder.x.delta": np.zeros(1, np.float32)}}, "which the decoder does not have"),
        ]
        for name, changed, error in refusals:
            adapter_file(tmp_path / f"{name}.medsam", **changed)
            with pytest.raises((InputError, WeightsError), match=error):
                import_adapter(tmp_path / f"{name}.medsam")
        assert sorted((cache / "weights").iterdir()) == before

    def test_a_model_of_the_catalogue_may_have_an_adapter(
        self, choices: tuple[ModelChoice, ModelChoice], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path
    ) -> None:
        adapter = adapter_file(tmp_path / "plus.medsam", changes(0.1))
        base = CATALOGUE["litemedsam"]
        spec = base.adapted("plus", "Plus", base.licence, AdapterFile(adapter.path, adapter.sha256))
        monkeypatch.setitem(catalogue.CATALOGUE, "plus", spec)
        assert load_predictor(ModelChoice("plus", device="cpu", runtime="torch"))[1].adapter_sha256 == adapter.sha256
        (cache / "weights" / "lite_medsam.pth").unlink()
        monkeypatch.setattr("MedSAMSlicerLib.engine.models.weights._in_installed_package", lambda spec: None)
        with pytest.raises(
            WeightsError, match="^the weights of LiteMedSAM are not.*models import FILE --as litemedsam'"
        ):
            load_predictor(ModelChoice("plus", device="cpu", runtime="torch"))
