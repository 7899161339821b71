"""How a slice is turned so that a radiologist finds it the usual way round."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# What points right and down on the screen, in LPS, for slices seen along each patient axis: patient left, posterior
# and inferior. Sagittal slices show anterior on the left.
_SCREEN = {0: ((0, 1, 0), (0, 0, -1)), 1: ((1, 0, 0), (0, 0, -1)), 2: ((1, 0, 0), (0, 1, 0))}
_PLANES = ("sagittal", "coronal", "axial")
_LETTERS = (("R", "L"), ("A", "P"), ("I", "S"))
# Scans are tilted a little to fit the head; beyond this, slices no longer show what the plane's name promises.
_MOST_TILTED_DEGREES = 10.0


@dataclass(frozen=True)
class Display:
    """How (rows, columns) slices of one stack are shown.

    Attributes:
        transpose: rows and columns change places first.
        flip_rows, flip_columns: then these are turned over.
        plane: "axial", "coronal" or "sagittal", the nearest one.
        oblique: whether the slices are tilted more than 10 degrees from that plane.
        letters: patient directions at the left, right, top and bottom edge.
        pixel_mm: (rows, columns) spacing on the screen.
    """

    transpose: bool
    flip_rows: bool
    flip_columns: bool
    plane: str
    oblique: bool
    letters: tuple[str, str, str, str]
    pixel_mm: tuple[float, float]

    @property
    def title(self) -> str:
        """What the slices are, for a heading."""
        return f"oblique slices, nearest to {self.plane}" if self.oblique else f"{self.plane} slices"

    def turn(self, image: np.ndarray) -> np.ndarray:
        """A (rows, columns) slice as it is shown."""
        image = image.T if self.transpose else image
        image = image[::-1] if self.flip_rows else image
        return image[:, ::-1] if self.flip_columns else image


def display_of(ijk_to_lps: np.ndarray, axis: str) -> Display:
    """The display of slices along index axis I, J or K of a volume, whatever its orientation."""
    matrix = ijk_to_lps[:3, :3]
    spacing = np.linalg.norm(matrix, axis=0)
    along = "IJK".index(axis)
    columns, rows = (n for n in range(3) if n != along)
    directions = matrix / spacing
    across = np.cross(directions[:, columns], directions[:, rows])
    across = np.abs(across) / np.linalg.norm(across)
    normal = int(across.argmax())
    right, down = _SCREEN[normal]
    transpose = abs(directions[:, columns] @ right) < abs(directions[:, rows] @ right)
    if transpose:
        columns, rows = rows, columns
    flip_columns = bool(directions[:, columns] @ right < 0)
    flip_rows = bool(directions[:, rows] @ down < 0)
    to_right = directions[:, columns] * (-1 if flip_columns else 1)
    to_bottom = directions[:, rows] * (-1 if flip_rows else 1)
    return Display(
        transpose=bool(transpose),
        flip_rows=flip_rows,
        flip_columns=flip_columns,
        plane=_PLANES[normal],
        oblique=bool(across[normal] < np.cos(np.radians(_MOST_TILTED_DEGREES))),
        letters=(_letter(-to_right), _letter(to_right), _letter(-to_bottom), _letter(to_bottom)),
        pixel_mm=(float(spacing[rows]), float(spacing[columns])),
    )


def _letter(direction: np.ndarray) -> str:
    axis = int(np.abs(direction).argmax())
    return _LETTERS[axis][int(direction[axis] > 0)]
