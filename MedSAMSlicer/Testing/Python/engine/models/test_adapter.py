"""Adapter files hold what was written, change what they name and nothing else, and are refused if they do not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from MedSAMSlicerLib.engine.errors import WeightsError
from MedSAMSlicerLib.engine.models.adapter import MOST_BYTES, read_adapter, write_adapter
from support.adapters import MLP, TOKENS, UPSCALING, adapter_file, changes, metadata

SHAPES = {TOKENS: (1, 256), MLP: (2048, 256), UPSCALING: (256, 64, 2, 2)}


def base_arrays() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {name: random.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}


def test_an_adapter_is_read_as_it_was_written(tmp_path: Path) -> None:
    said = metadata(
        description="30 patients, 2 centres",
        confidence={"middle": 0.8, "review_below": 0.7},
        propagation={"in_box": {"generous_width": 1.1}},
    )
    written = write_adapter(tmp_path / "livers.medsam", changes(0.1), said)
    read = read_adapter(tmp_path / "livers.medsam")
    assert read.metadata == said and read.sha256 == written.sha256
    assert read.metadata.settings == {"in_box": {"generous_width": 1.1}, "confidence": said.confidence}
    assert read.parameters == sorted(SHAPES)
    assert read.tensors.keys() == changes(0.1).keys()
    assert all(np.array_equal(read.tensors[name], tensor) for name, tensor in changes(0.1).items())


def test_the_same_adapter_gives_the_same_bytes(tmp_path: Path) -> None:
    said = {"description": "livers", "confidence": {"middle": 0.8}, "propagation": {"skipping": {"largest_gap_mm": 0}}}
    for name in ("a", "b"):
        adapter_file(tmp_path / f"{name}.medsam", changes(0.1), **said)
    assert (tmp_path / "a.medsam").read_bytes() == (tmp_path / "b.medsam").read_bytes()


def test_changes_are_added_in_float32(tmp_path: Path) -> None:
    tensors, base = changes(0.1), base_arrays()
    changed = adapter_file(tmp_path / "a.medsam", tensors).changed(base)
    assert np.array_equal(changed[TOKENS], base[TOKENS] + tensors[f"{TOKENS}.delta"].astype(np.float32))
    product = tensors[f"{MLP}.up"] @ tensors[f"{MLP}.down"]
    assert np.allclose(changed[MLP], base[MLP] + product, atol=1e-6)
    # Of a transposed convolution (inputs, outputs, k, k), each row of the matrix belongs to an input channel.
    up, down = (tensors[f"{UPSCALING}.{kind}"].astype(np.float64) for kind in ("up", "down"))
    assert np.allclose(
        changed[UPSCALING][7, 5, 1, 0], base[UPSCALING][7, 5, 1, 0] + up[7] @ down[:, 5 * 4 + 2], atol=1e-6
    )
    assert all(array.dtype == np.float32 for array in changed.values())


def test_an_adapter_of_zeros_changes_nothing(tmp_path: Path) -> None:
    base = base_arrays()
    changed = adapter_file(tmp_path / "a.medsam").changed(base)
    assert changed.keys() == base.keys() and all(np.array_equal(changed[name], base[name]) for name in base)


def test_titles_with_line_breaks_stay_one_line_and_short(tmp_path: Path) -> None:
    said = adapter_file(tmp_path / "a.medsam", title="Livers\nof " + "all " * 40).metadata
    assert said.title.startswith("Livers of all") and len(said.title) <= 80


@pytest.mark.parametrize(
    ("tensors", "why"),
    [
        (
            {"image_encoder.neck.0.weight.delta": np.zeros((256, 320, 1, 1), np.float16)},
            "which the decoder does not have",
        ),
        ({"mask_decoder.other.weight.delta": np.zeros((1, 256), np.float32)}, "which the decoder does not have"),
        ({f"{TOKENS}.delta": np.zeros((256,), np.float32)}, "does not fit a parameter"),
        ({f"{MLP}.down": np.zeros((2, 256), np.float32)}, "does not fit a parameter"),
        (
            {f"{MLP}.down": np.zeros((2, 255), np.float32), f"{MLP}.up": np.zeros((2048, 2), np.float32)},
            "does not fit a parameter",
        ),
        (
            {f"{MLP}.down": np.zeros((2, 256), np.float32), f"{MLP}.up": np.zeros((2048, 3), np.float32)},
            "does not fit a parameter",
        ),
        ({**changes(0.0), f"{MLP}.delta": np.zeros((2048, 256), np.float16)}, "does not fit a parameter"),
        ({f"{TOKENS}.delta": np.full((1, 256), 3e38, np.float32)}, "becomes infinite"),
    ],
)
def test_tensors_that_do_not_fit_the_base_are_refused(tmp_path: Path, tensors: Any, why: str) -> None:
    adapter = adapter_file(tmp_path / "a.medsam", tensors)
    base = {**base_arrays(), TOKENS: np.full((1, 256), 3e38, np.float32)}
    with pytest.raises(WeightsError, match=f"a.medsam cannot be used as an adapter.*{why}"):
        adapter.changed(base)


@pytest.mark.parametrize(
    ("tensors", "why"),
    [
        ({f"{TOKENS}.delta": np.full((1, 256), np.nan, np.float32)}, "values that are not finite"),
        ({f"{TOKENS}.delta": np.zeros((1, 256), np.float64)}, "is float64, not float16 or float32"),
        ({TOKENS: np.zeros((1, 256), np.float32)}, "which is no change of a parameter"),
        ({f"{MLP}.delta": np.zeros((MOST_BYTES // 4,), np.float32)}, "larger than 16 MB"),
        ({}, "it holds nothing"),
    ],
)
def test_a_file_that_could_not_be_read_is_not_written(tmp_path: Path, tensors: Any, why: str) -> None:
    before = adapter_file(tmp_path / "a.medsam").sha256
    with pytest.raises(WeightsError, match=why):
        write_adapter(tmp_path / "a.medsam", tensors, metadata())
    assert [path.name for path in tmp_path.iterdir()] == ["a.medsam"]
    assert read_adapter(tmp_path / "a.medsam").sha256 == before


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"format": "medsam-adapter/2"}, "its format is 'medsam-adapter/2'"),
        ({"title": " "}, "it does not say its title"),
        ({"licence": None}, "it does not say its licence"),
        ({"base_sha256": "abc"}, "no checksum"),
        ({"confidence": "{"}, "its confidence is no JSON"),
        ({"propagation": "[1]"}, "its propagation is no table"),
        ({"propagation": '{"confidence": {}}'}, "a place of their own"),
    ],
)
def test_incomplete_metadata_are_refused(tmp_path: Path, changed: dict[str, str | None], why: str) -> None:
    text = {name: value for name, value in {**metadata().as_text(), **changed}.items() if value is not None}
    save_file(changes(0.0), tmp_path / "a.medsam", text)
    with pytest.raises(WeightsError, match=why) as caught:
        read_adapter(tmp_path / "a.medsam")
    assert "\n" not in str(caught.value) and str(tmp_path) not in caught.value.brief


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.medsam"
    with pytest.raises(WeightsError, match="cannot be read"):
        read_adapter(path)
    for content in (b"", b"PK\x03\x04 a checkpoint of PyTorch", b"\xff" * 64):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match="cannot be opened"):
            read_adapter(path)
    save_file(changes(0.0), path)
    with pytest.raises(WeightsError, match="its format is None"):
        read_adapter(path)
    adapter_file(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(WeightsError, match="cannot be opened"):
        read_adapter(path)


def test_settings_are_left_out_of_the_file_if_there_are_none() -> None:
    assert {"confidence", "propagation"}.isdisjoint(metadata().as_text())
    assert "confidence" in replace(metadata(), confidence={"middle": 0.8}).as_text()
