"""The environment in which other Python processes of this package start."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path


def child_environment(search: Sequence[Path] = ()) -> dict[str, str]:
    """This process's environment, with this package to be found first, then `search`."""
    environment = dict(os.environ)
    inherited = environment.get("PYTHONPATH")
    paths = [str(Path(__file__).resolve().parents[2]), *map(str, search), *([inherited] if inherited else [])]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    # Without it Python looks first in the current folder, where a stray json.py would do.
    environment["PYTHONSAFEPATH"] = "1"
    return environment
