"""The benchmark of speed compares within a round and says for each target whether it is met."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def part(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a part of the benchmark."""
    monkeypatch.syspath_prepend(str(repository / "benchmarks"))
    return lambda name: importlib.import_module(f"speed.{name}")


def one(value: float) -> dict[str, float]:
    return {"median": value, "q25": value, "q75": value, "runs": 1}


def test_a_round_with_other_load_does_not_change_the_ratio(part: Any) -> None:
    found = part("alternation").ratios([1.0, 30.0, 1.1, 0.9], [4.0, 120.0, 4.4, 3.6])
    assert found == pytest.approx({"median": 0.25, "q25": 0.25, "q75": 0.25, "runs": 4})


def test_generators_run_alternately_to_their_ends(part: Any) -> None:
    drawn: list[str] = []

    def generate(name: str, count: int) -> Any:
        for n in range(count):
            drawn.append(name)
            yield n

    run = part("alternation").AlternatingGenerators({"ours": (generate("a", 7), 3), "authors": (generate("b", 9), 2)})
    run.run({"authors": 4})
    assert "".join(drawn) == "aaabbaaabba"
    assert run.results == {"ours": [0, 1, 2, 3, 4, 5, 6], "authors": [0, 1, 2, 3]}
    assert run.total("ours") == sum(run.seconds["ours"]) > 0


def box(seconds_a_slice: float) -> dict[str, Any]:
    spent = {"encode": 8.0, "decode": 1.5, "rest": 0.5, "encoder calls": 10, "decoder calls": 12}
    return {
        "ours of the authors'": one(0.4),
        "second of first": one(0.2),
        "seconds a slice": one(seconds_a_slice),
        "authors": one(25.0),
        "profile": spent,
    }


def test_targets_come_with_measured_values_and_whether_they_are_met(part: Any) -> None:
    targets = part("targets")
    table = {
        "boxes": {"10": box(0.50), "40": box(0.54), "160": box(0.56)},
        "agreement": {"ours": 0.91, "authors": 0.90},
        "preview": {"mouse to mask": {**one(0.033), "q75": 0.04, "runs": 70}, "pipes alone": one(0.006)},
        "thin": {"ours of the authors'": one(0.16)},
        "length": {"slices": 160, "long of short": one(1.12)},
        "memory": {"openvino": {"above the volume": 599.0}},
    }
    rows = {row[0]: row[1:] for row in targets.targets(table)}
    assert rows["3D box of 40 slices, of the authors' time"] == ("<= 0.25", "0.4", "no")
    assert rows["second prompt, of the first's time"][2] == "yes"
    assert rows["DSC of the demo's tumour"] == (">= 0.900, the authors'", "0.91", "yes")
    preview = rows["preview, prompt to mask through the pipes (effect: bench_effect.py)"]
    assert preview == ("<= 35 ms", "33 ms (33 to 40)", "yes")
    assert rows["pipes, a preview"][2] == "no"
    assert rows["peak memory above the volume, openvino"][2] == "yes"
    assert rows["a slice in a box of 160, of one in a box of 10"] == ("0.90 to 1.10", "1.12", "no")
    assert rows["3D box of 40 slices 1.25 mm apart, of the authors' time"][1:] == ("0.16", "yes")
    assert not any("cold" in what for what in rows), "quantities that were not measured are left out"
    text = targets.as_text(targets.targets(table)).splitlines()
    assert len(text) == len(rows) + 2 and len({line.index("|") for line in text[2:]}) == 1


def test_the_profile_gives_the_times_of_each_part(part: Any) -> None:
    authors = {"GFLOP/s": 60.0, "share of peak": one(0.3)}
    slices = {"matrix product float32": {"GFLOP/s": 200.0}, "encode authors, torch float32": authors}
    lines = part("targets").profile({"boxes": {"10": box(1.0)}, "slice": slices})
    assert (
        lines[0]
        == "10 slices: encode 8.00 s (80%), decode 1.50 s (15%), rest 0.50 s (5%); 10 encoder calls, 12 decoder calls"
    )
    assert "30% of the peak" in lines[1]
