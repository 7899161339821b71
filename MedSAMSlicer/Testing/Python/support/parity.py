"""Comparisons with reference outputs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """DSC of two masks of the same shape; 1 if both are empty."""
    one, other = one.astype(bool), other.astype(bool)
    total = one.sum() + other.sum()
    return float(2 * (one & other).sum() / total) if total else 1.0


def embedding_difference(embedding: np.ndarray, reference: Mapping[str, np.ndarray]) -> float:
    """Largest difference of a (256, 64, 64) embedding from what a reference file keeps of the authors' one."""
    channels = embedding.reshape(len(embedding), -1).astype(np.float64)
    return max(
        float(np.abs(embedding[::8] - reference["embedding_every8"][0]).max()),
        float(np.abs(channels.mean(axis=1) - reference["embedding_channel_mean"]).max()),
        float(np.abs(channels.std(axis=1) - reference["embedding_channel_std"]).max()),
    )
