"""Runs networks with OpenVINO on the CPU: the same numbers as PyTorch in float32, in less than half the time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import openvino

from ..log import get_logger
from .openvino_models import DECODER, ENCODER, compile_network, converted_folder, discard

if TYPE_CHECKING:
    from ..models.family import NetworkPrompt
    from .runtime import Runtime

_log = get_logger(__name__)


class OpenVINORuntime:
    """A converted network. Prompts other than boxes go to `fallback`, which is made when the first one comes.

    Args:
        identity: of the weights, in characters that a file name may have.
        convert: writes the converted network into the empty folder that it is given.
        make_fallback: gives a runtime that takes every prompt.
        threads: processor threads to take.
        precision: of the encoder, "float32" or "bfloat16"; the decoder always runs in float32.
        folder: where converted networks are kept.
    """

    name = "openvino"
    device = "cpu"
    # One slice keeps all cores busy.
    slices_at_once = 1

    def __init__(
        self,
        identity: str,
        convert: Callable[[Path], None],
        make_fallback: Callable[[], Runtime],
        threads: int,
        precision: str = "float32",
        folder: Path | None = None,
    ) -> None:
        self.precision = precision
        self.version = f"{openvino.get_version()} {precision}"
        self._make_fallback = make_fallback
        kept = converted_folder(identity, convert, folder)
        try:
            self._compile(kept, threads)
        except RuntimeError as error:
            _log.warning("the converted network cannot be compiled: it is made again", exc_info=error)
            # A damaged file: once more from the weights. If that fails too, it is the caller's to fall back.
            discard(kept)
            self._compile(converted_folder(identity, convert, folder), threads)

    def _compile(self, kept: Path, threads: int) -> None:
        self._encoder = compile_network(kept / ENCODER, threads, self.precision)
        self._decoder = compile_network(kept / DECODER, threads, "float32")

    @cached_property
    def _fallback(self) -> Runtime:
        return self._make_fallback()

    def encode(self, prepared: np.ndarray) -> np.ndarray:
        """float32 (3, side, side) network input -> float32 (channels, h, w) embedding."""
        return self._encoder([prepared[None]])[0][0]

    def encode_many(self, prepared: Sequence[np.ndarray]) -> list[np.ndarray]:
        """As `encode`, of several slices."""
        return [self.encode(one) for one in prepared]

    def decode(
        self, embedding: np.ndarray, prompts: Sequence[NetworkPrompt], multimask: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `Runtime.decode`."""
        boxes = [prompt.box for prompt in prompts if prompt.only_box and prompt.box is not None]
        if len(boxes) < len(prompts):
            return self._fallback.decode(embedding, prompts, multimask)
        logits, ious = self._decoder([embedding[None], np.stack(boxes).astype(np.float32, copy=False)])
        chosen = slice(1, None) if multimask else slice(0, 1)
        return np.ascontiguousarray(logits[:, chosen]), ious[:, chosen]
