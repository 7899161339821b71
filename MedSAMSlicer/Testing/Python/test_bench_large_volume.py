"""The benchmark of large volumes measures each run separately and fails if a limit is exceeded."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs os.wait4")


@pytest.fixture(scope="module")
def bench(repository: Path) -> Any:
    path = repository / "benchmarks" / "bench_large_volume.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_the_peak_of_a_large_run_does_not_count_for_the_next_one(bench: Any) -> None:
    # A forked child starts with the memory of its parent: measure from a small process.
    measure = f"import sys; sys.path.insert(0, {str(Path(bench.__file__).parent)!r})\n"
    measure += "from bench_large_volume import peak_mb_of\n"
    for megabytes in (300, 1):
        measure += f"print(peak_mb_of([sys.executable, '-c', 'import os; os.urandom(1) * {megabytes * 10**6}']))\n"
    recorded = subprocess.run([sys.executable, "-c", measure], capture_output=True, text=True, check=True).stdout
    large, small = (float(line) for line in recorded.split())
    assert 300 < large < 400
    assert small < 200


def test_a_run_that_fails_is_an_error(bench: Any) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        bench.peak_mb_of([sys.executable, "-c", "import sys; sys.exit(3)"])


def test_exceeded_limits_are_named(bench: Any) -> None:
    small = bench.Measurement(10.0, 5.0, 1200.0)
    assert bench.exceeded_limits(small, replace(small, seconds=12.0, peak_mb=1500.0)) == []
    (heavy,) = bench.exceeded_limits(small, replace(small, peak_mb=1500.1))
    assert "300 slices" in heavy and "1500 MB" in heavy
    (slow,) = bench.exceeded_limits(small, replace(small, seconds=12.1))
    assert "1.21 times" in slow


def test_several_runs_are_combined_to_median_times_and_highest_peak(bench: Any) -> None:
    runs = [
        bench.Measurement(10.0, 4.0, 1200.0),
        bench.Measurement(30.0, 6.0, 1300.0),
        bench.Measurement(11.0, 5.0, 1100.0),
    ]
    assert bench.Measurement.combine(runs) == bench.Measurement(11.0, 5.0, 1300.0)


@pytest.mark.parametrize(("peak", "status"), [(1200.0, 0), (1501.0, 1)])
def test_the_exit_status_says_whether_a_limit_was_exceeded(
    bench: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, peak: float, status: int
) -> None:
    """With fake runs; the first, which converts a model, may take more."""
    peaks = iter([2200.0, *[peak] * 4])
    monkeypatch.setattr(bench, "demo_case", lambda: type("Case", (), {"image": "chest.nrrd"}))
    monkeypatch.setattr(bench.sitk, "ReadImage", lambda _: None)
    monkeypatch.setattr(bench, "write_repeated", lambda *_: None)
    monkeypatch.setattr(bench, "run", lambda *_: bench.Measurement(10.0, 5.0, next(peaks)))
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    (tmp_path / "benchmarks").mkdir()
    assert bench.main() == status
    assert (tmp_path / "benchmarks" / "results" / "large_volume.json").is_file()
