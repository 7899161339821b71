"""Synthetic slice on which devices and precisions are checked."""

from __future__ import annotations

import numpy as np

from ..prompts import Box

SIDE = 512


def phantom_slice() -> tuple[np.ndarray, Box]:
    """A uint8 (512, 512) slice with a bright round object in noisy tissue, equal on every computer, and the object's box."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float64)
    angle = np.arctan2(y - 240, x - 300)
    radius = np.hypot(y - 240, x - 300)
    body = ((x - 256) / 220) ** 2 + ((y - 256) / 180) ** 2 < 1
    lesion = radius < 60 + 6 * np.sin(3 * angle)
    noise = np.random.default_rng(7).normal(0, 6, (SIDE, SIDE))
    image = np.where(lesion, 190.0, np.where(body, 100.0, 10.0)) + noise
    return np.clip(image, 0, 255).astype(np.uint8), Box(230, 170, 370, 310)
