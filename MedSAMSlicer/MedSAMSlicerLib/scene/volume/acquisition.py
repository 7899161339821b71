"""Transforms that Slicer gives a volume whose slices were not taken on a grid with right angles.

Slicer loads a series from a tilted gantry with right angles, under a grid transform that shifts each slice to where it was
taken. That is a transform of a general kind, but in the volume it is linear.
"""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from ...engine.volume.affine import transform_points

_MOST_BENT = 0.1
"""How far from where a linear transform takes it a voxel may lie, as a share of its smallest side."""


def linear_in_grid(
    transform_node: slicer.vtkMRMLTransformNode, to_node: np.ndarray, size: tuple[int, int, int]
) -> np.ndarray | None:
    """The linear transform that equals a transform to world on a grid of voxels, but for a tenth of a voxel.

    Args:
        transform_node: transform of any kind.
        to_node: (4, 4) matrix from indices (i, j, k) of the grid to the coordinates that are transformed, in mm.
        size: voxels along I, J and K.

    Returns:
        (4, 4) matrix from those coordinates to world RAS; None if the transform bends or breaks the grid.
    """
    # Every slice, because each may be shifted by itself; within a slice, transforms are smooth.
    columns, rows = (np.unique(np.linspace(0, max(count - 1, 1), 3)) for count in size[:2])
    slices = np.arange(max(size[2], 2), dtype=float)
    indices = np.stack([n.ravel() for n in np.meshgrid(columns, rows, slices, indexing="ij")], axis=1)
    points = transform_points(to_node, indices)
    found = _transformed(transform_node, points)
    if not np.isfinite(found).all():
        return None
    homogeneous = np.c_[points, np.ones(len(points))]
    solution = np.linalg.lstsq(homogeneous, found, rcond=None)[0]
    moved = np.linalg.norm(homogeneous @ solution - found, axis=1).max()
    matrix = np.eye(4)
    matrix[:3] = solution.T
    smallest = np.linalg.norm((matrix @ to_node)[:3, :3], axis=0).min()
    return matrix if moved <= _MOST_BENT * smallest else None


def _transformed(transform_node: slicer.vtkMRMLTransformNode, points: np.ndarray) -> np.ndarray:
    """(N, 3) world RAS positions of (N, 3) points."""
    to_world = vtk.vtkGeneralTransform()
    transform_node.GetTransformToWorld(to_world)
    given, found = vtk.vtkPoints(), vtk.vtkPoints()
    given.SetDataTypeToDouble()
    found.SetDataTypeToDouble()
    given.SetData(numpy_to_vtk(np.ascontiguousarray(points), deep=True))
    to_world.TransformPoints(given, found)
    return np.array(vtk_to_numpy(found.GetData()))
