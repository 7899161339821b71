"""Checkpoints are read however they are wrapped, told apart by their networks, and refused if they are malicious."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from MedSAMSlicerLib.engine.environment import CACHE_VARIABLE, WEIGHTS_VARIABLE
from MedSAMSlicerLib.engine.errors import WeightsError
from MedSAMSlicerLib.engine.inference.predictor import load_predictor
from MedSAMSlicerLib.engine.model_choice import ModelChoice
from MedSAMSlicerLib.engine.models import weights
from MedSAMSlicerLib.engine.models.catalogue import CATALOGUE
from MedSAMSlicerLib.engine.models.checkpoints import read_tensors, titles_of
from MedSAMSlicerLib.engine.prompts import Box
from support.shapes import textured_slice
from support.small_families import SMALL_FAMILIES, use_small_families, write_small_weights

pytestmark = pytest.mark.slow

State = dict[str, torch.Tensor]
IMAGE = textured_slice(50, 60, 8)


def bare(state: State) -> object:
    return state


def as_sam_med2d_publishes(state: State) -> object:
    return {"model": state}


def of_parallel_training(state: State) -> object:
    return {f"module.{name}": tensor for name, tensor in state.items()}


def with_the_whole_optimiser(state: State) -> object:
    """As SAM-Med2D's ``train.py`` saves: not the optimiser's state but the optimiser."""
    parameters = [torch.nn.Parameter(tensor) for tensor in list(state.values())[:3] if tensor.is_floating_point()]
    optimiser = torch.optim.Adam(parameters)
    sum(parameter.sum() for parameter in parameters).backward()  # type: ignore[union-attr]
    optimiser.step()
    return {"model": state, "optimizer": optimiser, "epoch": 3}


def of_parallel_training_in_half_precision(state: State) -> object:
    halved = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    return {"epoch": 3, "state_dict": of_parallel_training(halved)}


WAYS = [bare, as_sam_med2d_publishes, of_parallel_training, with_the_whole_optimiser]
WAYS += [of_parallel_training_in_half_precision]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, and no other place to find weights in."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.delenv(WEIGHTS_VARIABLE, raising=False)
    return tmp_path / "cache"


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> State:
    """Of a small SAM-Med2D, in whose place the catalogue loads it."""
    use_small_families(monkeypatch, {})
    return torch.load(write_small_weights("sam_med2d", tmp_path), weights_only=True)


def saved(folder: Path, content: object, name: str = "checkpoint.pth") -> Path:
    torch.save(content, folder / name)
    return folder / name


@pytest.mark.parametrize("way", WAYS)
def test_names_and_shapes_are_read_without_the_numbers(state: State, tmp_path: Path, way: Callable) -> None:
    found = read_tensors(saved(tmp_path, way(state)), "meta")
    assert {name: tensor.shape for name, tensor in found.items()} == {name: t.shape for name, t in state.items()}
    assert all(tensor.device.type == "meta" for tensor in found.values())


@pytest.mark.parametrize("way", WAYS)
def test_a_checkpoint_is_imported_however_it_is_wrapped_and_gives_the_same_masks(
    cache: Path, state: State, tmp_path: Path, way: Callable
) -> None:
    spec = CATALOGUE["sam_med2d"]
    placed = weights.import_weights(spec, saved(tmp_path, way(state)))
    assert placed == cache / "weights" / "sam-med2d_b.pth"
    predictor, loaded = load_predictor(ModelChoice("sam_med2d", device="cpu", runtime="torch"))
    assert loaded.weights_sha256 == weights.verify_weights(spec, placed)
    reference = SMALL_FAMILIES["sam_med2d"].build_network()
    reference.load_state_dict(state)
    expected = reference.eval().image_encoder(torch.from_numpy(predictor.family.prepare(IMAGE))[None])[0]
    tolerance = 0.05 if way is of_parallel_training_in_half_precision else 1e-5
    assert torch.allclose(torch.from_numpy(predictor.embed(IMAGE)), expected, atol=tolerance)
    assert predictor.predict(IMAGE, Box(10, 10, 40, 30)).mask.shape == IMAGE.shape


def test_a_file_without_a_published_checksum_is_used_only_once_it_was_imported(
    cache: Path, state: State, tmp_path: Path
) -> None:
    mine = saved(tmp_path, as_sam_med2d_publishes(state), "sam-med2d_b.pth")
    with pytest.raises(WeightsError, match="was not imported.*models import FILE --as sam_med2d"):
        load_predictor(ModelChoice("sam_med2d", str(mine), runtime="torch"))
    placed = weights.import_weights(CATALOGUE["sam_med2d"], mine)
    assert sorted(path.name for path in placed.parent.iterdir()) == ["sam-med2d_b.pth", "sam-med2d_b.pth.json"]
    load_predictor(ModelChoice("sam_med2d", runtime="torch"))
    with placed.open("ab") as file:
        file.write(b"changed since")
    with pytest.raises(WeightsError, match="is not the weights file of SAM-Med2D: its sha256 is"):
        load_predictor(ModelChoice("sam_med2d", runtime="torch"))
    (placed.parent / "sam-med2d_b.pth.json").write_text("[]")
    with pytest.raises(WeightsError, match="cannot be read as a record of weights: import sam-med2d_b.pth again"):
        load_predictor(ModelChoice("sam_med2d", runtime="torch"))


def test_another_model_is_refused_by_name(cache: Path, state: State, tmp_path: Path) -> None:
    vit_l = write_small_weights("sam_vit_l", tmp_path)
    for key in ("medsam", "sam_vit_b", "sam_med2d", "litemedsam"):
        spec = CATALOGUE[key]
        with pytest.raises(WeightsError, match=r"this is SAM ViT-L; you chose ") as caught:
            weights.import_weights(spec, vit_l)
        assert f"you chose {spec.title}" in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(WeightsError, match="this is SAM-Med2D; you chose SAM ViT-H"):
        weights.import_weights(CATALOGUE["sam_vit_h"], saved(tmp_path, of_parallel_training(state)))
    with pytest.raises(WeightsError, match=r"this is MedSAM \(ViT-B\) or SAM ViT-B; you chose SAM-Med2D"):
        weights.import_weights(CATALOGUE["sam_med2d"], write_small_weights("medsam", tmp_path))
    assert not list(cache.rglob("*.pth*"))


def test_models_with_equal_networks_are_told_apart_by_their_checksums(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    medsam, sam = tmp_path / "a.pth", write_small_weights("sam_vit_b", tmp_path)
    torch.save({name: tensor + 1 for name, tensor in torch.load(sam, weights_only=True).items()}, medsam)
    use_small_families(monkeypatch, {"medsam": medsam, "sam_vit_b": sam})
    with pytest.raises(WeightsError, match=r"this is SAM ViT-B; you chose MedSAM \(ViT-B\)"):
        load_predictor(ModelChoice("medsam", str(sam), runtime="torch"))
    with pytest.raises(WeightsError, match=r"this is MedSAM \(ViT-B\); you chose SAM ViT-B"):
        weights.import_weights(CATALOGUE["sam_vit_b"], medsam)
    assert load_predictor(ModelChoice("medsam", str(medsam), runtime="torch"))[1].model == "medsam"


def test_ones_own_checkpoint_is_taken_when_one_says_so_and_only_for_its_network(
    cache: Path, state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = write_small_weights("medsam", tmp_path)
    use_small_families(monkeypatch, {"medsam": published})
    mine = saved(tmp_path, of_parallel_training(torch.load(published, weights_only=True)), "mine.pth")
    with pytest.raises(WeightsError, match="it fits the network: if you trained it yourself, import it with --own"):
        weights.import_weights(CATALOGUE["medsam"], mine)
    weights.import_weights(CATALOGUE["medsam"], mine, own=True)
    assert load_predictor(ModelChoice("medsam", runtime="torch"))[1].model == "medsam"
    with pytest.raises(WeightsError, match="this is SAM-Med2D; you chose MedSAM"):
        weights.import_weights(CATALOGUE["medsam"], saved(tmp_path, bare(state)), own=True)
    # The published file takes its place again, and the record of the other one goes.
    placed = weights.import_weights(CATALOGUE["medsam"], published)
    assert placed.read_bytes() == published.read_bytes() and list(placed.parent.iterdir()) == [placed]


def test_tensors_that_do_not_fit_are_counted_and_named(cache: Path, state: State, tmp_path: Path) -> None:
    del state["mask_decoder.iou_token.weight"]
    weights.import_weights(CATALOGUE["sam_med2d"], saved(tmp_path, state))
    with pytest.raises(WeightsError, match="1 tensors are missing.*such as mask_decoder.iou_token.weight"):
        load_predictor(ModelChoice("sam_med2d", runtime="torch"))


class Trap:
    """Creates a file if it is unpickled without restrictions."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.file,))


def test_a_malicious_checkpoint_is_refused_and_its_code_is_not_run(
    cache: Path, state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sprung, traps = tmp_path / "sprung", tmp_path / "traps"
    traps.mkdir()
    trap = Trap(sprung)
    paths = [saved(traps, content, f"{n}.pth") for n, content in enumerate((trap, {"a": trap}, {**state, "a": trap}))]
    torch.save({"model": state, "optimizer": trap}, traps / "old.pth", _use_new_zipfile_serialization=False)
    (traps / "pickle.pth").write_bytes(pickle.dumps({**state, "a": trap}))
    for path in [*paths, traps / "old.pth", traps / "pickle.pth"]:
        with pytest.raises(
            WeightsError,
            match=r"is not a checkpoint of SAM-Med2D: it (cannot be opened as weights|is not in the format)",
        ):
            weights.import_weights(CATALOGUE["sam_med2d"], path)
        with pytest.raises(WeightsError, match=r"is not a checkpoint of MedSAM \(ViT-B\)"):
            weights.import_weights(CATALOGUE["medsam"], path, own=True)
    assert not sprung.exists() and not list(cache.rglob("*.pth*"))


def test_the_old_format_which_weights_only_has_not_always_guarded_is_refused(
    cache: Path, state: State, tmp_path: Path
) -> None:
    """CVE-2025-32434: PyTorch before 2.6 runs code in files of the format that it wrote before 1.6."""
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    with pytest.raises(WeightsError, match=r"it is not in the format of PyTorch 1\.6 and later"):
        weights.import_weights(CATALOGUE["sam_med2d"], tmp_path / "old.pth")


def test_what_is_no_checkpoint_is_refused(cache: Path, state: State, tmp_path: Path) -> None:
    good = saved(tmp_path, state)
    cut = tmp_path / "cut.pth"
    cut.write_bytes(good.read_bytes()[:-500])
    text = tmp_path / "text.pth"
    text.write_text("not weights")
    others = [saved(tmp_path, content, f"{n}.pth") for n, content in enumerate(([1, 2], {"a": 3}, {}, "weights"))]
    for path in (cut, text, *others):
        with pytest.raises(
            ValueError, match=r"it cannot be opened|it is not in the format|it does not hold a table of tensors"
        ):
            read_tensors(path, "meta")
        with pytest.raises(WeightsError, match=r"is not a checkpoint of SAM-Med2D: it .*; get sam-med2d_b\.pth"):
            weights.import_weights(CATALOGUE["sam_med2d"], path)
    with pytest.raises(WeightsError, match="it holds no such network"):
        weights.import_weights(CATALOGUE["sam_med2d"], saved(tmp_path, {"a.weight": torch.ones(2, 3)}))


def test_a_damaged_list_of_contents_is_never_more_than_unreadable(tmp_path: Path) -> None:
    state = {"a.weight": torch.ones(2, 3), "a.bias": torch.zeros(3), "b": torch.ones(1, 4, 4)}
    with zipfile.ZipFile(saved(tmp_path, state)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    random = np.random.default_rng(1)
    damaged = tmp_path / "damaged.pth"
    unreadable = 0
    for _ in range(100):
        contents = bytearray(members["checkpoint/data.pkl"])
        for position in random.integers(len(contents), size=3):
            contents[position] = random.integers(256)
        with zipfile.ZipFile(damaged, "w") as archive:
            for name, content in {**members, "checkpoint/data.pkl": bytes(contents)}.items():
                archive.writestr(name, content)
        try:
            assert all(isinstance(name, str) for name in read_tensors(damaged, "meta"))
        except ValueError:
            unreadable += 1
    assert unreadable > 20


def test_marks_are_tensors_of_their_own_network_and_of_no_other_architecture() -> None:
    titles = {
        key: titles_of({name: tuple(t.shape) for name, t in spec.load_family().build_network().state_dict().items()})
        for key, spec in CATALOGUE.items()
        if not spec.base
    }
    twins = [CATALOGUE["medsam"].title, CATALOGUE["sam_vit_b"].title]
    expected = {key: [spec.title] for key, spec in CATALOGUE.items() if not spec.base}
    assert titles == {**expected, "medsam": twins, "sam_vit_b": twins}
