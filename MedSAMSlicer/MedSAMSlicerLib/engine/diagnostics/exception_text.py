"""Describes exceptions and printed lines without names of patients and without folders of users.

The messages of errors name volumes, segments and files: those of this package do, to tell users where to look, and
those of libraries may. A log leaves the user's computer, so it shows code instead of values:

* Each frame of a traceback is a module, a line number and a function, never a path. Frames of this package show their
  statement too, so that the template of a message can be read although the message itself is left out.
* The message of a `MedSAMError` is always left out, and so is the message of any other exception unless it was raised
  where no names are known: in the engine, or in the numerical libraries that it calls.
* In the messages that are kept, and in lines that libraries print, everything from the first path to the end of the
  line is left out.
"""

from __future__ import annotations

import ast
import linecache
import os
import re
import textwrap
import traceback
from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import FrameType
from typing import Any

from ..errors import MedSAMError

LEFT_OUT = "<left out>"
_OWN = "MedSAMSlicerLib"
_NUMERICAL = ("MedSAMSlicerLib.engine", "numpy", "openvino", "scipy", "segment_anything", "torch", "torchvision")
# Python's own messages for these name types, attributes and modules, not values.
_ABOUT_CODE = (
    AttributeError,
    ImportError,
    IndexError,
    MemoryError,
    NameError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ZeroDivisionError,
)
_MAX_STATEMENT_LINES = 8

# A word that begins like a path (/x, ~/x, ./x, C:\x, \\server\x, scheme://x), or that holds a separator and is followed
# by a file's ending.
_PATH = re.compile(
    r"""(?<![\w.])(?:~?/(?=\S)|\.{1,2}[/\\]|[A-Za-z]:[/\\]|\\\\|[A-Za-z][\w+.-]+://)"""
    r"""|(?<!\S)[^\s"'(\[]+[/\\].*\.[A-Za-z]"""
)
_QUOTED = re.compile(r"""(['"]).*\1""")
# A frame in a traceback that Python or faulthandler prints, and the first line of a warning.
_POSITIONS = (
    re.compile(r"""(?P<before>\s*File ")(?P<path>[^"]*)(?P<rest>", line \d+(?:,? in .*)?)"""),
    re.compile(r"""(?P<before>)(?P<path>\S.*?\.py)(?P<rest>:\d+: \w*Warning: .*)"""),
)
_LIBRARY_FOLDERS = re.compile(r".*[/\\](?:site-packages|dist-packages|[Ll]ib[/\\]python\d[\d.]*)[/\\]")
_OWN_FOLDERS = re.compile(rf".*[/\\](?={_OWN}[/\\])")


def describe_exception(error: BaseException) -> str:
    """Format the traceback of an exception and of its causes, in several lines, without private values."""
    return "\n".join(line for part in _chain(error) for line in part)


def summarize_exception(error: BaseException) -> str:
    """Format the type of an exception, and its message if that holds no private values, in one line."""
    text = " ".join(_message(error).split())
    return f"{_kind(error)}: {text}" if text else _kind(error)


def without_paths(text: str) -> str:
    """Leave out everything from the first path to the end of each line.

    In the lines of a printed Python traceback or warning, leave out the folders only.
    """
    return "\n".join(map(_without_path, text.splitlines()))


def without_folders(path: str) -> str:
    """Shorten the path of a Python file to its part within this package or within the folder of libraries.

    Other paths are left out.
    """
    for folders in (_OWN_FOLDERS, _LIBRARY_FOLDERS):
        short = folders.sub("", path)
        if short != path:
            return short
    # Frozen modules and code that comes from no file have names without a folder.
    return LEFT_OUT if re.search(r"[/\\]", path) and not path.startswith(f"{_OWN}/") else path


def _chain(error: BaseException) -> Iterator[list[str]]:
    """The lines of each exception in a chain, beginning with the first cause, and how one led to the next."""
    links: list[tuple[BaseException, str]] = []
    current: BaseException | None = error
    relation = ""
    while current is not None and all(current is not seen for seen, _ in links):
        links.append((current, relation))
        if current.__cause__ is not None:
            relation = "The above exception was the direct cause of the following exception:"
            current = current.__cause__
        elif current.__context__ is not None and not current.__suppress_context__:
            relation = "During handling of the above exception, another exception occurred:"
            current = current.__context__
        else:
            current = None
    for link, relation in reversed(links):
        yield _lines(link)
        if relation:
            yield ["", relation, ""]


def _lines(error: BaseException) -> list[str]:
    lines = []
    frames = list(traceback.walk_tb(error.__traceback__))
    if frames:
        lines.append("Traceback (most recent call last):")
    for frame, line in frames:
        lines.append(f"  {_module(frame)}, line {line}, in {frame.f_code.co_name}")
        if _is_within(_module(frame), (_OWN,)):
            lines.append(textwrap.indent(_statement(frame.f_code.co_filename, line), "    "))
    return [*filter(None, lines), summarize_exception(error)]


def _kind(error: BaseException) -> str:
    kind = type(error)
    return (
        kind.__qualname__
        if kind.__module__ in ("builtins", MedSAMError.__module__)
        else f"{kind.__module__}.{kind.__qualname__}"
    )


def _message(error: BaseException) -> str:
    """The part of an exception's message that holds no private values."""
    if isinstance(error, MedSAMError):
        return ""
    if isinstance(error, OSError):
        # The message holds the file's name.
        return f"[Errno {error.errno}] {os.strerror(error.errno)}" if error.errno else ""
    raised_in = _raised_in(error)
    about_code = isinstance(error, _ABOUT_CODE)
    if not _is_within(raised_in, (_OWN, *_NUMERICAL) if about_code else _NUMERICAL):
        return ""
    text = str(error)
    if isinstance(error, (ValueError, LookupError)) and not about_code:
        # The text that could not be converted, or the key that was not found.
        text = _QUOTED.sub(LEFT_OUT, text)
    return without_paths(text)


def _raised_in(error: BaseException) -> str:
    """The module that raised the exception; '' if it was not raised."""
    module = ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        module = _module(frame)
    return module


def _module(frame: FrameType) -> str:
    names: Mapping[str, Any] = frame.f_globals
    name = names.get("__name__")
    if name == "__main__" and names.get("__spec__") is not None:
        name = names["__spec__"].name  # run with `python -m`
    return name if isinstance(name, str) else "?"


def _is_within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


@lru_cache(maxsize=256)
def _statement(file: str, line: int) -> str:
    """The source of the innermost statement at a line; of a compound statement, its header only."""
    lines = linecache.getlines(file)
    try:
        tree = ast.parse("".join(lines))
    except SyntaxError:
        return linecache.getline(file, line).strip()
    spans = []
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or line):
            body = getattr(node, "body", None)
            last = body[0].lineno - 1 if body else node.end_lineno or line
            if line <= last:
                spans.append((last - node.lineno, node.lineno, last))
    if not spans:
        return linecache.getline(file, line).strip()
    _, first, last = min(spans)
    return textwrap.dedent("".join(lines[first - 1 : min(last, first - 1 + _MAX_STATEMENT_LINES)])).rstrip()


def _without_path(line: str) -> str:
    for position in _POSITIONS:
        found = position.fullmatch(line)
        if found is not None:
            return f"{found['before']}{without_folders(found['path'])}{_cut_at_path(found['rest'])}"
    return _cut_at_path(line)


def _cut_at_path(line: str) -> str:
    found = _PATH.search(line)
    return line if found is None else f"{line[: found.start()]}{LEFT_OUT}"
