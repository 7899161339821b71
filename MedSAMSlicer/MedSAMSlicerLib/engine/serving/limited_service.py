"""The engine with as much memory for embeddings as the user allows: ``--service`` of inference processes in Slicer."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..environment import cache_folder
from ..errors import InputError
from ..i18n import tr as _

if TYPE_CHECKING:
    from ..inference.embedding_store import EmbeddingStore
    from .service import SegmentationService

EMBEDDINGS_VARIABLE = "MEDSAM_SLICER_EMBEDDINGS_MB"
DISK_VARIABLE = "MEDSAM_SLICER_EMBEDDINGS_DISK_MB"
DEFAULT_MEGABYTES = 352
"""88 slices of LiteMedSAM. With OpenVINO, whose process takes 500 MB besides, together less than 900 MB."""
LIMITED_SERVICE = f"{__name__}:limited_service"


def limited_service() -> SegmentationService:
    """A service whose embeddings take at most ``$MEDSAM_SLICER_EMBEDDINGS_MB`` megabytes of memory.

    With ``$MEDSAM_SLICER_EMBEDDINGS_DISK_MB`` they are kept on disk too, in at most so many megabytes.

    Raises:
        InputError: a variable does not hold a whole number of 0 or more.
    """
    from .service import SegmentationService

    return SegmentationService(allowed_megabytes() << 20, embedding_files(disk_megabytes()))


def embedding_files(megabytes: int) -> EmbeddingStore | None:
    """Embeddings on disk, in the cache folder; None for 0 megabytes."""
    from ..inference.embedding_store import EmbeddingStore

    return EmbeddingStore(cache_folder() / "embeddings", megabytes << 20) if megabytes else None


def allowed_megabytes() -> int:
    """Memory that embeddings may take, or the default if the variable is not set. Raises InputError as `limited_service`."""
    return _megabytes(EMBEDDINGS_VARIABLE, DEFAULT_MEGABYTES)


def disk_megabytes() -> int:
    """Room on disk that embeddings may take, or 0 if the variable is not set. Raises InputError as `limited_service`."""
    return _megabytes(DISK_VARIABLE, 0)


def _megabytes(variable: str, default: int) -> int:
    text = os.environ.get(variable, "") or str(default)
    if not (text.isascii() and text.isdigit()):
        raise InputError(
            _("${variable} is {text!r}: set it to a whole number of megabytes, such as {example}").format(
                variable=variable, text=text, example=default or 2000
            )
        )
    return int(text)
