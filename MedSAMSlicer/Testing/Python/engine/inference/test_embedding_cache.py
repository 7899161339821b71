"""The cache never takes more than its bytes, and never answers for other pixels."""

from __future__ import annotations

import numpy as np

from MedSAMSlicerLib.engine.inference.embedding_cache import EmbeddingCache

KIB = 1024


def embedding(kib: int = 1) -> np.ndarray:
    return np.zeros(kib * KIB // 4, np.float32)


def test_what_is_kept_is_found_again() -> None:
    cache = EmbeddingCache(10 * KIB)
    made = embedding()
    cache.put("a", made)
    assert cache.get("a") is made and cache.get("b") is None


def test_the_bytes_are_bounded_and_the_least_recently_used_goes_first() -> None:
    cache = EmbeddingCache(3 * KIB)
    for name in "abc":
        cache.put(name, embedding())
    assert cache.get("a") is not None
    cache.put("d", embedding())
    assert cache.used_bytes == 3 * KIB
    assert [name for name in "abcd" if cache.get(name) is None] == ["b"], "b had not been used for longest"
    cache.put("almost all", np.zeros(3 * KIB - 1, np.uint8))
    cache.put("one byte", np.zeros(1, np.uint8))
    assert (len(cache), cache.used_bytes) == (2, 3 * KIB)
    cache.put("one more", np.zeros(1, np.uint8))
    assert (len(cache), cache.used_bytes) == (2, 2), "a byte too much"


def test_what_is_larger_than_the_cache_is_not_kept_and_pushes_nothing_out() -> None:
    cache = EmbeddingCache(2 * KIB)
    cache.put("small", embedding())
    cache.put("large", embedding(3))
    assert cache.get("large") is None and (len(cache), cache.used_bytes) == (1, KIB)
    nothing = EmbeddingCache(0)
    nothing.put("a", embedding())
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
    cache.put("a", embedding())
    cache.clear()
    assert (len(cache), cache.used_bytes) == (0, 0)
