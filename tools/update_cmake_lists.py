#!/usr/bin/env python3
"""Keeps the lists of scripts and resources in MedSAMSlicer/CMakeLists.txt equal to the files that are there.

Slicer installs only what is listed, so a forgotten file is missing on every user's machine.

    python tools/update_cmake_lists.py            rewrite the lists
    python tools/update_cmake_lists.py --check    change nothing; exit status 1 if they differ
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("scripts", "resources")


def module_files(module: Path) -> list[str]:
    """Files under the module's folder, relative to it, that belong to the project: all that git does not ignore.

    New files count before they are added to git. Without git (an unpacked archive): every file but caches.
    """
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, cwd=module, capture_output=True, check=True, text=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        everything = [path.relative_to(module) for path in module.rglob("*")]
        listed = [path.as_posix() for path in everything if not _is_cache(path)]
    # git goes on listing a deleted file until the deletion is staged
    return sorted({name for name in listed if name and (module / name).is_file()})


def _is_cache(path: Path) -> bool:
    return any(part == "__pycache__" or part.startswith(".") or part.endswith(".egg-info") for part in path.parts)


def wanted_lists(names: Iterable[str], module_name: str) -> dict[str, list[str]]:
    """Which of the files Slicer is to install: scripts, and resources (whatever else it needs at run time)."""
    lists: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for name in names:
        top = PurePosixPath(name).parts[0]
        if name == f"{module_name}.py" or (top == f"{module_name}Lib" and name.endswith(".py")):
            lists["scripts"].append(name)
        elif top in (f"{module_name}Lib", "Resources"):
            lists["resources"].append(name)
    return lists


def read_lists(text: str) -> dict[str, list[str]]:
    """The file names between the markers of each list, in the order in which they stand there.

    Raises:
        ValueError: a marker is missing or stands twice.
    """
    return {kind: list(_between_markers(text, kind)) for kind in KINDS}


def _between_markers(text: str, kind: str) -> Iterator[str]:
    start, end = _markers(text, kind)
    for line in text[start:end].splitlines():
        name = line.split("#")[0].strip()
        if name:
            yield name


def _markers(text: str, kind: str) -> tuple[int, int]:
    """Where the lines between the two markers of a list start and end."""
    begin_marker, end_marker = f"  # {kind}: begin\n", f"  # {kind}: end\n"
    if text.count(begin_marker) != 1 or text.count(end_marker) != 1:
        raise ValueError(
            f"CMakeLists.txt needs the lines '# {kind}: begin' and '# {kind}: end' once each: restore them"
        )
    return text.index(begin_marker) + len(begin_marker), text.index(end_marker)


def with_lists(text: str, lists: dict[str, list[str]]) -> str:
    """The text of CMakeLists.txt with the lists between the markers replaced."""
    for kind, names in lists.items():
        start, end = _markers(text, kind)
        text = text[:start] + "".join(f"  {name}\n" for name in names) + text[end:]
    return text


def differences(cmake_file: Path) -> list[str]:
    """One line for every file that is missing from the lists, listed but not there, or listed twice."""
    listed = read_lists(cmake_file.read_text(encoding="utf-8"))
    wanted = wanted_lists(module_files(cmake_file.parent), cmake_file.parent.name)
    lines: list[str] = []
    for kind in KINDS:
        lines += [f"{kind}: {name} is not listed" for name in wanted[kind] if name not in listed[kind]]
        lines += [f"{kind}: {name} is listed but not there" for name in listed[kind] if name not in wanted[kind]]
        lines += [
            f"{kind}: {name} is listed twice" for name in sorted(set(listed[kind])) if listed[kind].count(name) > 1
        ]
    return lines


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing, report what differs")
    options = parser.parse_args(arguments)
    cmake_file = ROOT / "MedSAMSlicer" / "CMakeLists.txt"
    found = differences(cmake_file)
    for line in found:
        print(line)
    if options.check:
        if found:
            print(
                "MedSAMSlicer/CMakeLists.txt does not list the files that are there: run 'make lists'", file=sys.stderr
            )
        return 1 if found else 0
    lists = wanted_lists(module_files(cmake_file.parent), cmake_file.parent.name)
    cmake_file.write_text(with_lists(cmake_file.read_text(encoding="utf-8"), lists), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
