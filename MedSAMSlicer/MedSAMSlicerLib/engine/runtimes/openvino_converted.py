"""Runs converted networks with OpenVINO on the CPU: the same results as PyTorch in float32, in less than half the time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import openvino

from ..diagnostics.log import get_logger
from .openvino_models import DECODER, ENCODER, converted_folder, discard
from .openvino_network import CompiledNetwork

if TYPE_CHECKING:
    from ..models.family import NetworkPrompt
    from .runtime import Runtime

_log = get_logger(__name__)


class ConvertedRuntime:
    """Runs a converted network. Prompts other than boxes are decoded by another runtime, which is loaded for the first one.

    Args:
        identity: name of the weights, in characters that file names may have.
        convert: writes the converted network into the empty folder that it is given.
        make_fallback: returns a runtime that takes all kinds of prompt.
        threads: number of processor threads.
        folder: folder of converted networks; by default ``openvino`` in the cache folder.
    """

    name = "openvino"
    device = "cpu"
    encodes_parts = False
    # One slice uses all cores.
    slices_at_once = 1

    def __init__(
        self,
        identity: str,
        convert: Callable[[Path], None],
        make_fallback: Callable[[], Runtime],
        threads: int,
        folder: Path | None = None,
    ) -> None:
        self.version = f"{openvino.get_version()} float32"
        self._make_fallback = make_fallback
        kept = converted_folder(identity, convert, folder)
        try:
            self._compile(kept, threads)
        except RuntimeError as error:
            _log.warning("the converted network cannot be compiled: it is made again", exc_info=error)
            # The file may be damaged: convert once more. If that fails too, the caller falls back to PyTorch.
            discard(kept)
            self._compile(converted_folder(identity, convert, folder), threads)

    def _compile(self, kept: Path, threads: int) -> None:
        self._encoder = CompiledNetwork(kept / ENCODER, threads)
        self._decoder = CompiledNetwork(kept / DECODER, threads)

    @cached_property
    def _fallback(self) -> Runtime:
        return self._make_fallback()

    def encode(self, prepared: np.ndarray) -> np.ndarray:
        """See `Runtime.encode`."""
        return self._encoder([prepared[None]])[0][0]

    def encode_many(self, prepared: Sequence[np.ndarray]) -> list[np.ndarray]:
        """See `Runtime.encode_many`."""
        return [self.encode(one) for one in prepared]

    def decode(
        self,
        embedding: np.ndarray,
        prompts: Sequence[NetworkPrompt],
        multimask: bool = False,
        origin: tuple[int, int] = (0, 0),
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `Runtime.decode`."""
        boxes = [prompt.box for prompt in prompts if prompt.only_box and prompt.box is not None]
        if len(boxes) < len(prompts):
            return self._fallback.decode(embedding, prompts, multimask)
        logits, ious = self._decoder([embedding[None], np.stack(boxes).astype(np.float32, copy=False)])
        chosen = slice(1, None) if multimask else slice(0, 1)
        return np.ascontiguousarray(logits[:, chosen]), ious[:, chosen]
