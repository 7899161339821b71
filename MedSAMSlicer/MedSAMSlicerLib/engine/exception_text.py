"""Exceptions and printed lines as text that holds nothing of the patient and no folder of the user.

Names of volumes, segments and files get into the messages of errors: into our own, which name what a user has to look
at, and into those of libraries. A log leaves the user's computer, so it shows code instead of values:

* Each frame of a traceback is a module, a line number and a function, never a path. Frames of this package show their
  statement too, so that the template of a message can be read although the message itself is left out.
* The message of a `MedSAMError` is always left out, and so is the message of any other exception unless it was raised
  where no names are known: in the engine, or in the numerical libraries that it calls.
* In what is kept, and in lines that other programs print, everything from the first path to the end of the line is
  left out.
"""

from __future__ import annotations

import ast
import linecache
import os
import re
import textwrap
import traceback
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

from .errors import MedSAMError

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
_MOST_LINES = 8
"""Of a statement."""

# A path begins a word: /x, ~/x, ./x, C:\x, \\server\x, scheme://x. Or a word
# has a separator, and an ending follows.
_PATH = re.compile(
    r"""(?<![\w.])(?:~?/(?=\S)|\.{1,2}[/\\]|[A-Za-z]:[/\\]|\\\\|[A-Za-z][\w+.-]+://)"""
    r"""|(?<!\S)[^\s"'(\[]+[/\\].*\.[A-Za-z]"""
)
_QUOTED = re.compile(r"""(['"]).*\1""")
# A frame of a traceback, of Python's or of faulthandler's, and the first line of a warning.
_POSITIONS = (
    re.compile(r"""(?P<before>\s*File ")(?P<path>[^"]*)(?P<rest>", line \d+(?:,? in .*)?)"""),
    re.compile(r"""(?P<before>)(?P<path>\S.*?\.py)(?P<rest>:\d+: \w*Warning: .*)"""),
)
_LIBRARY_FOLDERS = re.compile(r".*[/\\](?:site-packages|dist-packages|[Ll]ib[/\\]python\d[\d.]*)[/\\]")
_OWN_FOLDERS = re.compile(rf".*[/\\](?={_OWN}[/\\])")


def describe_exception(error: BaseException) -> str:
    """The traceback of an exception and of those that caused it, as several lines without private values."""
    return "\n".join(line for part in _chain(error) for line in part)


def summarize_exception(error: BaseException) -> str:
    """The kind of an exception, and its message as far as that holds no private values, in one line."""
    text = " ".join(_message(error).split())
    return f"{_kind(error)}: {text}" if text else _kind(error)


def without_paths(text: str) -> str:
    """`text` with everything from the first path to the end of each line left out.

    In the lines of a printed Python traceback only the folders are left out.
    """
    return "\n".join(map(_without_path, text.splitlines()))


def _chain(error: BaseException) -> Iterator[list[str]]:
    """The parts of a chain of exceptions, the first cause first."""
    links: list[tuple[BaseException, str]] = []
    one: BaseException | None = error
    told = ""
    while one is not None and all(one is not seen for seen, _ in links):
        links.append((one, told))
        if one.__cause__ is not None:
            one, told = one.__cause__, "The above exception was the direct cause of the following exception:"
        elif one.__context__ is not None and not one.__suppress_context__:
            one, told = one.__context__, "During handling of the above exception, another exception occurred:"
        else:
            one = None
    for link, words in reversed(links):
        yield _lines(link)
        if words:
            yield ["", words, ""]


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
    """What may be shown of an exception's message."""
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
        # Text that could not be converted, or a key that was not found.
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
        name = names["__spec__"].name  # run by `python -m`
    return name if isinstance(name, str) else "?"


def _is_within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


def _statement(file: str, line: int) -> str:
    """The source of the innermost statement at a line; of a compound statement only its head."""
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
    return textwrap.dedent("".join(lines[first - 1 : min(last, first - 1 + _MOST_LINES)])).rstrip()


def _without_path(line: str) -> str:
    for position in _POSITIONS:
        found = position.fullmatch(line)
        if found is not None:
            return f"{found['before']}{_position(found['path'])}{_cut_at_path(found['rest'])}"
    return _cut_at_path(line)


def _cut_at_path(line: str) -> str:
    found = _PATH.search(line)
    return line if found is None else f"{line[: found.start()]}{LEFT_OUT}"


def _position(path: str) -> str:
    """The path of a Python file within this package or the folder that libraries are installed in."""
    for folders in (_OWN_FOLDERS, _LIBRARY_FOLDERS):
        short = folders.sub("", path)
        if short != path:
            return short
    return path if path.startswith("<") else LEFT_OUT
