"""What the check of a file brings, and which names are the project's own."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Findings:
    """What a file got wrong, what could not be told, and how many names were looked up.

    `unchecked`: names used on objects of Slicer's whose class is not known. `somewhere`: names in Slicer's style on
    objects of which nothing is known; they exist in some class of Slicer's, but perhaps not in the right one.
    """

    errors: list[str] = field(default_factory=list)
    unchecked: set[str] = field(default_factory=set)
    somewhere: set[str] = field(default_factory=set)
    checked: set[str] = field(default_factory=set)

    def add(self, other: Findings) -> None:
        self.errors += other.errors
        self.unchecked |= other.unchecked
        self.somewhere |= other.somewhere
        self.checked |= other.checked


def own_names(tree: ast.AST) -> Iterator[str]:
    """Names that a file defines: functions, classes, arguments, attributes and variables."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            is_own = isinstance(node, ast.Name) or (isinstance(node.value, ast.Name) and node.value.id == "self")
            if is_own:
                yield node.id if isinstance(node, ast.Name) else node.attr
        elif isinstance(node, ast.arg):
            yield node.arg
