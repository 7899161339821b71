"""Action of the 'Copy details' buttons."""

from __future__ import annotations

from collections.abc import Mapping

import qt
import slicer

from ..engine.diagnostics.details import details
from . import settings


def copy_details(choices: Mapping[str, str]) -> None:
    """Copy the details for a problem report to the clipboard. They contain no patient data.

    Args:
        choices: label -> value of the user's current choices, such as the model. Values are keys and numbers, never names
            of nodes, segments or files.
    """
    application = f"3D Slicer {slicer.app.applicationVersion} (revision {slicer.app.revision})"
    configuration = {
        "Device and runtime selected by the check": f"{settings.device()}, {settings.runtime()}",
        "Cache for encoded slices": f"{settings.embeddings_megabytes()} MB",
    }
    qt.QApplication.clipboard().setText(details({**configuration, **choices}, application))
