"""Least-recently-used cache of slice embeddings in memory, optionally backed by files.

Embeddings are stored in float32. Half precision would fit twice as many, but changes LiteMedSAM's logits by up to 3e-3, six
times the tolerance of the parity tests, and a slice would get another mask the second time.
"""

from __future__ import annotations

import hashlib

import numpy as np
from cachetools import LRUCache

from ..environment import DEFAULT_EMBEDDINGS_MB
from .embedding_store import EmbeddingStore

DEFAULT_BYTES = DEFAULT_EMBEDDINGS_MB << 20


class EmbeddingCache:
    """Cache of embeddings by model and image content: only the same pixels and weights find an embedding.

    Args:
        max_bytes: memory for all embeddings together; 0 stores none.
        files: store on disk behind the cache; None for none.
    """

    def __init__(self, max_bytes: int = DEFAULT_BYTES, files: EmbeddingStore | None = None) -> None:
        self.files = files
        self._embeddings: LRUCache[str, np.ndarray] = LRUCache(max_bytes, getsizeof=lambda array: array.nbytes)

    @property
    def used_bytes(self) -> int:
        """Memory that the embeddings take now."""
        return int(self._embeddings.currsize)

    @property
    def max_bytes(self) -> int:
        """Memory that the embeddings may take."""
        return int(self._embeddings.maxsize)

    def __len__(self) -> int:
        return len(self._embeddings)

    @staticmethod
    def key(model: str, image: np.ndarray) -> str:
        """Key of an embedding.

        Args:
            model: identifies the weights and the device and runtime that computed the embedding.
            image: uint8 image of the slice, of any shape.
        """
        digest = hashlib.blake2b(f"{model}|{image.shape}|".encode(), digest_size=20)
        digest.update(np.ascontiguousarray(image).data)
        return digest.hexdigest()

    def put(self, key: str, embedding: np.ndarray) -> None:
        """Store an embedding, unless it is larger than the cache."""
        self._remember(key, embedding)
        if self.files is not None:
            self.files.put(key, embedding)

    def get(self, key: str) -> np.ndarray | None:
        """Embedding of a key, from memory or disk; None if there is none."""
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
        """Remove all embeddings from memory, but not from disk."""
        self._embeddings.clear()

    def clear(self) -> None:
        """Remove all embeddings, from disk too."""
        self.forget()
        if self.files is not None:
            self.files.clear()
