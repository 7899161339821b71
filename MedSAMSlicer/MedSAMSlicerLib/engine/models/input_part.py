"""Part of a network's input that is encoded and decoded instead of all of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class InputPart:
    """A rectangle of the network's input, in tokens: the squares of pixels that the encoder makes one vector of.

    Attributes:
        row, column: first token.
        rows, columns: number of tokens.
        pixels_per_token: side of a token in pixels of the input, and of the decoder's logits.
    """

    row: int
    column: int
    rows: int
    columns: int
    pixels_per_token: int

    @property
    def pixels(self) -> tuple[slice, slice]:
        """Rows and columns of pixels."""
        side = self.pixels_per_token
        return (
            slice(self.row * side, (self.row + self.rows) * side),
            slice(self.column * side, (self.column + self.columns) * side),
        )

    def cut_input(self, prepared: np.ndarray) -> np.ndarray:
        """This part of float32 (3, side, side)."""
        return np.ascontiguousarray(prepared[(slice(None), *self.pixels)])

    @property
    def _tokens(self) -> tuple[slice, slice]:
        return slice(self.row, self.row + self.rows), slice(self.column, self.column + self.columns)

    def cut_embedding(self, embedding: np.ndarray) -> np.ndarray:
        """This part of the embedding of the whole input, float32 (channels, rows, columns)."""
        return np.ascontiguousarray(embedding[(slice(None), *self._tokens)])

    def paste_embedding(self, embedding: np.ndarray, whole: np.ndarray) -> np.ndarray:
        """A copy of the embedding `whole`, with that of this part in its place."""
        pasted = whole.copy()
        pasted[(slice(None), *self._tokens)] = embedding
        return pasted

    def paste_logits(self, logits: np.ndarray, side: int, outside: float) -> np.ndarray:
        """Logits of the whole input, float32 (n, m, side, side), from those of this part; `outside` elsewhere."""
        whole = np.full((*logits.shape[:2], side, side), outside, np.float32)
        whole[(..., *self.pixels)] = logits
        return whole
