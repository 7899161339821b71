"""The cache never takes more than its bytes, and never answers for other pixels."""

from __future__ import annotations

import numpy as np

from MedSAMSlicerLib.engine.embedding_cache import EmbeddingCache

KIB = 1024


def embedding(kib: int = 1) -> np.ndarray:
    return np.zeros(kib * KIB // 4, np.float32)


def test_what_was_made_once_is_not_made_again() -> None:
    cache = EmbeddingCache(10 * KIB)
    made = cache.get_or_make("a", embedding)
    assert cache.get_or_make("a", lambda: 1 / 0) is made


def test_the_bytes_are_bounded_and_the_least_recently_used_goes_first() -> None:
    cache = EmbeddingCache(3 * KIB)
    for name in "abc":
        cache.get_or_make(name, embedding)
    cache.get_or_make("a", embedding)
    cache.get_or_make("d", embedding)
    assert cache.used_bytes == 3 * KIB
    again = []
    for name in "adcb":
        cache.get_or_make(name, lambda name=name: again.append(name) or embedding())
    assert again == ["b"], "b had not been used for longest"


def test_what_is_larger_than_the_cache_is_made_but_not_kept() -> None:
    cache = EmbeddingCache(2 * KIB)
    cache.get_or_make("small", embedding)
    assert cache.get_or_make("large", lambda: embedding(3)).nbytes == 3 * KIB
    assert (len(cache), cache.used_bytes) == (1, KIB)
    nothing = EmbeddingCache(0)
    nothing.get_or_make("a", embedding)
    assert nothing.used_bytes == 0


def test_keys_tell_models_shapes_and_pixels_apart() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    other = image.copy()
    other[2, 3] += 1
    keys = {
        EmbeddingCache.key("model", image),
        EmbeddingCache.key("other model", image),
        EmbeddingCache.key("model", image.reshape(4, 3)),
        EmbeddingCache.key("model", other),
    }
    assert len(keys) == 4
    assert EmbeddingCache.key("model", np.asfortranarray(image)) == EmbeddingCache.key("model", image)


def test_clearing_frees_everything() -> None:
    cache = EmbeddingCache(10 * KIB)
    cache.get_or_make("a", embedding)
    cache.clear()
    assert (len(cache), cache.used_bytes) == (0, 0)
