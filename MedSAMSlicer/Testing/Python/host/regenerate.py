"""Makes the data files that the host and the contract test read. Run once per Slicer that is to be supported.

    python -m host.regenerate SHARED_FOLDER QT_FACTS.json HEADER_FACTS.json

from the folder `Testing/Python`. `SHARED_FOLDER` holds `slicer_runtime.json.gz` (what Python sees in a running Slicer)
and `slicer_api.json` (what Slicer's releases offer); the two others come from `regenerate_qt` and `regenerate_headers`.
What a class has from its base class is left out, so the files stay small.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parents[1] / "data"
GROUPS = ("qt", "ctk", "slicer", "effects")
RELEASES = ("5.10", "5.12", "main")


def write(name: str, content: Any) -> None:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    # No time and no name in the file: the same content gives the same bytes.
    (DATA / name).write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def compact(runtime: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
    whole = {name: {**entry, "group": group} for group in GROUPS for name, entry in runtime[group].items()}
    classes: dict[str, Any] = {}
    for name, entry in whole.items():
        base = facts.get(name, {}).get("base")
        while base is not None and base not in whole:
            base = facts.get(base, {}).get("base")
        inherited = whole.get(base, {"methods": {}, "signals": [], "other": {}})
        classes[name] = {
            "group": entry["group"],
            "base": base,
            "methods": _beyond(entry["methods"], inherited["methods"]),
            "signals": [signal for signal in entry["signals"] if signal not in inherited["signals"]],
            "other": _beyond(entry["other"], inherited["other"]),
        }
    return {
        "about": runtime["about"],
        "classes": classes,
        "app": runtime["slicer.app"],
        "util": runtime["slicer.util"],
        "modules": runtime["modules"],
    }


def lineage(name: str, facts: dict[str, Any]) -> list[str]:
    """The class and its bases, nearest first."""
    found = [name]
    while (base := facts.get(found[-1], {}).get("base")) is not None and base not in found:
        found.append(base)
    return found


def _beyond(own: dict[str, str], inherited: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in own.items() if inherited.get(key) != value}


def api_of_supported_releases(api: dict[str, Any]) -> dict[str, Any]:
    """The same lists, without private names and without what only older releases had."""

    def kept(mark: str | list[str]) -> list[str]:
        return [release for release in RELEASES if mark == "all" or release in mark]

    qt = {
        name: {"bases": entry["bases"], "members": {m: [k, kept(mark)] for m, (k, mark) in entry["members"].items()}}
        for name, entry in api["qt"].items()
    }
    python = {
        module: {
            name: {"spec": e["spec"], "in": kept(e["in"])} for name, e in names.items() if not name.startswith("_")
        }
        for module, names in api["python"].items()
    }
    return {"about": api["about"], "releases": list(RELEASES), "qt": qt, "python": python}


def main(shared: str, qt_facts: str, header_facts: str) -> None:
    facts = {
        **json.loads(Path(header_facts).read_text(encoding="utf-8")),
        **json.loads(Path(qt_facts).read_text(encoding="utf-8")),
    }
    with gzip.open(Path(shared) / "slicer_runtime.json.gz") as file:
        runtime = json.load(file)
    listed = {name for group in GROUPS for name in runtime[group]} | {"qSlicerApplication", "qSlicerCoreApplication"}
    listed |= {base for name in listed for base in lineage(name, facts)}
    classes = compact(runtime, facts)
    write("slicer_runtime.json.gz", classes)
    write("slicer_qt_facts.json.gz", {name: entry for name, entry in facts.items() if name in listed})
    write(
        "slicer_api.json.gz",
        api_of_supported_releases(json.loads((Path(shared) / "slicer_api.json").read_text(encoding="utf-8"))),
    )


if __name__ == "__main__":
    main(*sys.argv[1:4])
