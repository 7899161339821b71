"""Orients slices the way radiologists view them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# LPS directions that point right and down on the screen, for slices perpendicular to each patient axis: patient left,
# posterior and inferior. Sagittal slices show anterior on the left.
_SCREEN = {0: ((0, 1, 0), (0, 0, -1)), 1: ((1, 0, 0), (0, 0, -1)), 2: ((1, 0, 0), (0, 1, 0))}
_PLANES = ("sagittal", "coronal", "axial")
_LETTERS = (("R", "L"), ("A", "P"), ("I", "S"))
# Head scans are tilted by some degrees; beyond this, a slice no longer shows the plane that its name says.
_MOST_TILTED_DEGREES = 10.0


@dataclass(frozen=True)
class Display:
    """Orientation of (rows, columns) slices of a stack on the screen.

    Attributes:
        transpose: whether rows and columns are exchanged first.
        flip_rows, flip_columns: whether their order is then reversed.
        plane: the nearest of "axial", "coronal" and "sagittal".
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
        """Description of the slices for a heading."""
        return f"oblique slices, nearest to {self.plane}" if self.oblique else f"{self.plane} slices"

    def turn(self, image: np.ndarray) -> np.ndarray:
        """A (rows, columns[, 3]) slice in screen orientation."""
        image = image.swapaxes(0, 1) if self.transpose else image
        image = image[::-1] if self.flip_rows else image
        return image[:, ::-1] if self.flip_columns else image


def display_of(ijk_to_lps: np.ndarray, axis: str) -> Display:
    """The display of slices along index axis I, J or K of a volume of any orientation."""
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
