"""The engine with as much memory for embeddings as the user allows: ``--service`` of inference processes in Slicer."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .errors import InputError

if TYPE_CHECKING:
    from .service import SegmentationService

EMBEDDINGS_VARIABLE = "MEDSAM_SLICER_EMBEDDINGS_MB"
DEFAULT_MEGABYTES = 512
LIMITED_SERVICE = f"{__name__}:limited_service"


def limited_service() -> SegmentationService:
    """A service whose embeddings take at most ``$MEDSAM_SLICER_EMBEDDINGS_MB`` megabytes.

    Raises:
        InputError: the variable does not hold a whole number of 0 or more.
    """
    from .service import SegmentationService

    return SegmentationService(cache_bytes=allowed_megabytes() << 20)


def allowed_megabytes() -> int:
    """What the variable says, or 512 if it is not set. Raises InputError as `limited_service` does."""
    text = os.environ.get(EMBEDDINGS_VARIABLE, "") or str(DEFAULT_MEGABYTES)
    if not (text.isascii() and text.isdigit()):
        raise InputError(
            f"${EMBEDDINGS_VARIABLE} is {text!r}: set it to a whole number of megabytes, such as {DEFAULT_MEGABYTES}"
        )
    return int(text)
