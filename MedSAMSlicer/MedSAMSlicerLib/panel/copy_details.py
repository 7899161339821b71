"""What the buttons 'Copy details' do."""

from __future__ import annotations

from collections.abc import Mapping

import qt
import slicer

from ..engine.details import details
from . import settings


def copy_details(choices: Mapping[str, str]) -> None:
    """Put on the clipboard what a report of a problem needs. It holds nothing of the patient.

    Args:
        choices: names and values of what the user has chosen, such as the model; keys and numbers, no names.
    """
    application = f"3D Slicer {slicer.app.applicationVersion} (revision {slicer.app.revision})"
    checked = {
        "Device and runtime chosen by the check": f"{settings.device()}, {settings.runtime()}",
        "Memory for encoded slices": f"{settings.embeddings_megabytes()} MB",
    }
    qt.QApplication.clipboard().setText(details({**checked, **choices}, application))
