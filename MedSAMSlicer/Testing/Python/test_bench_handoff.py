"""The benchmark of hand-off measures what docs/handoff.md says, with our own reader; those of others are not installed here."""

from __future__ import annotations

from pathlib import Path

import pytest


def test_objects_are_written_read_and_compared(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(repository / "benchmarks"))
    import bench_handoff

    monkeypatch.setattr(bench_handoff, "SERIES", ("oblique",))
    rows = bench_handoff.measure_objects(["MedSAMSlicer"], ["MedSAMSlicer"], tmp_path)
    assert {row["object"] for row in rows} == set(bench_handoff.objects())
    assert {row["dsc"] for row in rows} == {"1.0000"}
    errors = {row["object"]: abs(float(row["area_error_pct"])) for row in rows}
    assert errors.pop("ball of 3 px") < 5 and max(errors.values()) < 1
    assert "| MedSAMSlicer | ring with an island | -0.1 % | 1.000 |" in bench_handoff.table(rows, "object")
