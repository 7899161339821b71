"""What the files of the package import."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "MedSAMSlicerLib"


class Library:
    """The modules of the package and what they import of each other.

    Args:
        root: folder of the package.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._imported_names: dict[str, list[str]] = {}
        self.files = {self._name(file): file for file in sorted(root.rglob("*.py"))}

    def _name(self, file: Path) -> str:
        """Name relative to the package: "engine.models.sam"; "engine" for its ``__init__.py``."""
        parts = file.relative_to(self.root).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def folder(self, module: str) -> str:
        """Folder of a module, with dots; for a file directly in the package, the module itself."""
        return ".".join(self._parents(module)) or module

    def _parents(self, module: str) -> tuple[str, ...]:
        return self.files[module].relative_to(self.root).parent.parts

    def imported_names(self, module: str) -> list[str]:
        """Full names of everything that a module imports, wherever in the file, for type checking too."""
        if module not in self._imported_names:
            self._imported_names[module] = list(self._read_imports(module))
        return self._imported_names[module]

    def _read_imports(self, module: str) -> Iterator[str]:
        package = [PACKAGE, *self._parents(module)]
        for node in ast.walk(ast.parse(self.files[module].read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                above = package[: len(package) + 1 - node.level] if node.level else []
                origin = ".".join([*above, *([node.module] if node.module else [])])
                yield origin
                yield from (f"{origin}.{alias.name}" for alias in node.names)

    def imports(self, module: str) -> set[str]:
        """Other modules of the package that a module imports."""
        inside = (
            name.removeprefix(PACKAGE).removeprefix(".")
            for name in self.imported_names(module)
            if name == PACKAGE or name.startswith(f"{PACKAGE}.")
        )
        # ``from ..engine import prompts`` names the package and the module. An ``__init__.py`` holds a docstring and
        # the version at most, and is no dependency.
        return {name for name in inside if name in self.files and self.files[name].name != "__init__.py"} - {module}

    def graph(self) -> dict[str, set[str]]:
        return {module: self.imports(module) for module in self.files}
