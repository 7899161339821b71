"""The segmentation service with the limits of the environment: what inference processes in Slicer run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..environment import embeddings_disk_megabytes, embeddings_megabytes

if TYPE_CHECKING:
    from .service import SegmentationService

LIMITED_SERVICE = f"{__name__}:limited_service"
"""Value for the worker's ``--service``."""


def limited_service() -> SegmentationService:
    """Create a service whose embeddings take at most ``$MEDSAM_SLICER_EMBEDDINGS_MB`` megabytes of memory.

    Embeddings are stored on disk too if ``$MEDSAM_SLICER_EMBEDDINGS_DISK_MB`` allows it.

    Raises:
        InputError: one of the variables is not a whole number.
    """
    # Slicer's main process imports this file for the name of the service and must not import torch.
    from ..inference.embedding_store import open_embedding_store
    from .service import SegmentationService

    return SegmentationService(embeddings_megabytes() << 20, open_embedding_store(embeddings_disk_megabytes()))
