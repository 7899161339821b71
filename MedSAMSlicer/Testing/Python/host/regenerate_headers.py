"""Reads base classes, signals and properties of Slicer's and CTK's Qt classes from their C++ headers.

Run from the folder `Testing/Python`, with clones of Slicer and CTK:

    python -m host.regenerate_headers RUNTIME.json.gz header_facts.json SLICER_CLONE CTK_CLONE
"""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
CLASS = re.compile(r"\bclass\s+(?:\w+_EXPORT\s+)?(\w+)\s*(?:final\s*)?:\s*public\s+(?:virtual\s+)?(\w+)[^{;]*\{")
PROPERTY = re.compile(r"Q_PROPERTY\(\s*([\w:<>*]+)\s+(\w+)\s+(READ[^)]*)\)")
NOTIFY = re.compile(r"\bNOTIFY\s+(\w+)")
SECTION = re.compile(r"\b(public|protected|private|signals|Q_SIGNALS)\b[^:;{}()]*:(?!:)")
DECLARATION = re.compile(r"\bvoid\s+(\w+)\s*\(([^;]*?)\)\s*;", re.DOTALL)
QT_KEEPS = {"unsigned int": "uint"}


def headers(clone: str) -> Iterator[str]:
    """Texts of all headers of a clone's HEAD that may declare a Qt class."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", clone, *arguments], capture_output=True, check=True)
        return done.stdout.decode("utf-8", "replace")

    for path in git("ls-tree", "-r", "--name-only", "HEAD").splitlines():
        if re.match(r"(ctk|qMRML|qSlicer)\w+\.h$", path.rsplit("/", 1)[-1]):
            yield git("show", f"HEAD:{path}")


def argument_type(declared: str) -> str:
    """`const QString& text` -> `QString`: the form that Qt normalises to."""
    text = " ".join(declared.split("=")[0].split())
    text = re.sub(r"^const (.*?)\s*&", r"\1 ", text)
    named = re.match(r"^((?:unsigned )?[\w:]+(?:<.*>)?)\s*([*&]*)\s*(\w*)$", text)
    if named is None:
        return text.replace(" ", "")
    return QT_KEEPS.get(named[1], named[1]) + named[2]


def split_arguments(text: str) -> list[str]:
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "<") - (letter == ">")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def signatures(name: str, arguments: str) -> list[str]:
    """One for each number of arguments that defaults allow, as Qt's own compiler makes them."""
    parts = split_arguments(arguments)
    needed = sum("=" not in part for part in parts)
    types = [argument_type(part) for part in parts]
    return [f"{name}({','.join(types[:count])})" for count in range(len(types), needed - 1, -1)]


def classes(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    text = COMMENT.sub("", text)
    starts = list(CLASS.finditer(text))
    for start, following in pairwise([*starts, None]):
        body = text[start.end() : following.start() if following else len(text)]
        marks = list(SECTION.finditer(body))
        signals: dict[str, list[str]] = {}
        for mark, after in pairwise([*marks, None]):
            if mark[1].lower().endswith("signals"):
                for declared in DECLARATION.finditer(body[mark.end() : after.start() if after else len(body)]):
                    signals.setdefault(declared[1], []).extend(signatures(declared[1], declared[2]))
        properties = {}
        for kind, name, rest in PROPERTY.findall(body):
            notify = NOTIFY.search(rest)
            properties[name] = [kind, None, " WRITE " in rest, notify and notify[1]]
        yield start[1], {"base": start[2], "signals": signals, "properties": properties}


def main(runtime: str, output: str, *clones: str) -> None:
    with gzip.open(runtime) as file:
        listed = json.load(file)
    names = {name for part in ("qt", "ctk", "slicer", "effects") for name in listed[part]}
    found: dict[str, Any] = {}
    for clone in clones:
        for text in headers(clone):
            for name, entry in classes(text):
                if name in names or name.startswith(("qMRML", "qSlicer", "ctk")):
                    found.setdefault(name, {key: value for key, value in entry.items() if value})
    Path(output).write_text(json.dumps(found, sort_keys=True), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
