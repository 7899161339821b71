"""Keeps embeddings of slices, bounded in bytes; the least recently used go first.

They are kept in float32. In half precision twice as many would fit, but LiteMedSAM's logits then differ by up to 3e-3
from those of the authors' code, six times what counts as equal, and a slice would come out differently the second time.
"""

from __future__ import annotations

import hashlib

import numpy as np
from cachetools import LRUCache

from ..environment import DEFAULT_EMBEDDINGS_MB
from .embedding_store import EmbeddingStore

DEFAULT_BYTES = DEFAULT_EMBEDDINGS_MB << 20


class EmbeddingCache:
    """Embeddings by model and image content, so that nothing but the same pixels ever finds them.

    Args:
        max_bytes: memory that embeddings may take together; 0 keeps none.
        files: where they are kept on disk too; None: nowhere.
    """

    def __init__(self, max_bytes: int = DEFAULT_BYTES, files: EmbeddingStore | None = None) -> None:
        self.files = files
        self._embeddings: LRUCache[str, np.ndarray] = LRUCache(max_bytes, getsizeof=lambda array: array.nbytes)

    @property
    def used_bytes(self) -> int:
        """Memory that embeddings take now."""
        return int(self._embeddings.currsize)

    @property
    def max_bytes(self) -> int:
        return int(self._embeddings.maxsize)

    def __len__(self) -> int:
        return len(self._embeddings)

    @staticmethod
    def key(model: str, image: np.ndarray) -> str:
        """Key of a uint8 image under a model; `model` names the weights, device and runtime too."""
        digest = hashlib.blake2b(f"{model}|{image.shape}|".encode(), digest_size=20)
        digest.update(np.ascontiguousarray(image).data)
        return digest.hexdigest()

    def put(self, key: str, embedding: np.ndarray) -> None:
        """Keep an embedding, unless it is larger than the cache."""
        self._remember(key, embedding)
        if self.files is not None:
            self.files.put(key, embedding)

    def get(self, key: str) -> np.ndarray | None:
        """The embedding under `key` from memory or disk, or None."""
        found = self._embeddings.get(key)
        if found is None and self.files is not None:
            found = self.files.get(key)
            if found is not None:
                self._remember(key, found)
        return found

    def _remember(self, key: str, embedding: np.ndarray) -> None:
        if embedding.nbytes <= self.max_bytes:
            self._embeddings[key] = embedding

    def forget(self) -> None:
        """Let go of what is in memory."""
        self._embeddings.clear()

    def clear(self) -> None:
        """Forget everything, on disk too."""
        self.forget()
        if self.files is not None:
            self.files.clear()
