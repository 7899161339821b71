"""The benchmark of the effect measures what it says it does."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("slicer", reason="the effect needs Slicer's MRML (slicer-core)")
from host.fixture import host  # noqa: E402, F401


def test_previews_runs_and_cancels_are_measured_in_the_host(host: Any, repository: Path, tmp_path: Path) -> None:  # noqa: F811
    path = repository / "benchmarks" / "bench_effect.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    bench, before = importlib.util.module_from_spec(spec), list(sys.path)
    try:
        spec.loader.exec_module(bench)
    finally:
        sys.path[:] = before
    k, j, i = np.indices((24, 60, 80))
    ball = ((k - 12) * 2) ** 2 + (j - 30) ** 2 + (i - 40) ** 2 <= 20**2
    image = sitk.GetImageFromArray(np.where(ball, 200, 20).astype(np.int16))
    image.SetSpacing((1, 1, 2))
    sitk.WriteImage(image, str(tmp_path / "ball.nrrd"))
    options = argparse.Namespace(
        image=tmp_path / "ball.nrrd", engine="bright", moves=6, preview_only=False, slow_rendering=0.02
    )
    found = bench.measure(host, options)
    assert found["previews"] >= 2 and found["first preview s"] > 0
    assert 0 < found["mouse to mask ms"]["median"] <= found["mouse to rendered mask ms"]["median"] + 1
    assert 0 < found["first slice s"] <= found["run s"] and found["run slices"] > 10
    assert len(found["cancel with slow rendering ms"]) == 5 and min(found["cancel with slow rendering ms"]) >= 20
    assert found["views in one turn"] == 1
