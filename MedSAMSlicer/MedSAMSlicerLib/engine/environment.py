"""Where the project keeps files on a user's computer."""

from __future__ import annotations

import os
from pathlib import Path

CACHE_VARIABLE = "MEDSAM_SLICER_CACHE"
WEIGHTS_VARIABLE = "MEDSAM_SLICER_WEIGHTS"


def cache_folder() -> Path:
    """Folder for weights and downloads: ``$MEDSAM_SLICER_CACHE``, or the user's cache folder. May not exist yet."""
    import platformdirs

    named = os.environ.get(CACHE_VARIABLE)
    return Path(named).expanduser() if named else Path(platformdirs.user_cache_dir("medsam-slicer", appauthor=False))


def weights_folders() -> list[Path]:
    """Folders that are searched for weights, in this order: those in ``$MEDSAM_SLICER_WEIGHTS``, then the cache."""
    named = os.environ.get(WEIGHTS_VARIABLE, "")
    return [*(Path(part).expanduser() for part in named.split(os.pathsep) if part), cache_folder() / "weights"]
