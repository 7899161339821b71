"""The sample data are those of the demo, at a permanent address."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import matplotlib.image
import pytest

import demo_data
from host import slicer_python
from MedSAMSlicerLib.panel.setup import sample_data


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Arguments of each registration, recorded by a function with the signature of Slicer's."""
    sources: list[dict[str, Any]] = []
    real = inspect.signature(slicer_python.SampleDataLogic.registerCustomSampleDataSource)

    def register(**arguments: Any) -> None:
        sources.append(real.bind(**arguments).arguments)

    module = ModuleType("SampleData")
    module.SampleDataLogic = SimpleNamespace(registerCustomSampleDataSource=register)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "SampleData", module)
    sample_data.register_sample_data()
    return sources


def test_two_data_sets_are_registered_without_a_download(registered: list[dict[str, Any]]) -> None:
    assert [source["sampleName"] for source in registered] == ["Lung tumour CT", "Lung tumour CT with contour"]
    for source in registered:
        lists = ("uris", "fileNames", "nodeNames", "checksums", "loadFileTypes")
        assert len({len(source[name]) for name in lists}) == 1


def test_files_and_checksums_are_those_of_the_demo(registered: list[dict[str, Any]]) -> None:
    for source in registered:
        for file, checksum, uri in zip(source["fileNames"], source["checksums"], source["uris"], strict=True):
            assert checksum == f"SHA256:{demo_data.SHA256[file]}"
            assert uri == f"https://raw.githubusercontent.com/AIM-Harvard/pyradiomics/v3.0.1/data/{file}"


def test_the_thumbnail_exists_and_has_the_size_that_slicer_requires(registered: list[dict[str, Any]]) -> None:
    for source in registered:
        pixels = matplotlib.image.imread(Path(source["thumbnailFileName"]))
        assert pixels.shape[:2] == (280, 260)
        assert pixels[..., :3].std() > 0.1, "an empty picture"
