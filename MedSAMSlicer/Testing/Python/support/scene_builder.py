"""Small volumes, segmentations, transforms and ROIs in a real MRML scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from host.converter_rules import forget_repeated_rules


def new_scene() -> slicer.vtkMRMLScene:
    """An empty scene in which segments have representations, as Slicer's Segmentations module arranges it at start."""
    scene = slicer.vtkMRMLScene()
    slicer.vtkSlicerSegmentationsModuleLogic().SetMRMLScene(scene)
    forget_repeated_rules()
    return scene


def rotation(*degrees_xyz: float) -> np.ndarray:
    """(3, 3) rotation about the first, then the second, then the third axis."""
    transform = vtk.vtkTransform()
    transform.PostMultiply()
    for turn, angle in zip((transform.RotateX, transform.RotateY, transform.RotateZ), degrees_xyz, strict=True):
        turn(angle)
    matrix = transform.GetMatrix()
    return np.array([[matrix.GetElement(r, c) for c in range(3)] for r in range(3)])


def vtk_matrix(array: np.ndarray) -> vtk.vtkMatrix4x4:
    full = np.eye(4)
    full[: array.shape[0], : array.shape[1]] = array
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(full.ravel())
    return matrix


TILTED = rotation(21, -13, 34)
SHEAR = np.array([[1, 0.2, 0], [0, 1, 0.1], [0, 0, 1.0]])

# name -> direction of I, J, K as columns, and parent transforms from the volume's outwards
GEOMETRIES: dict[str, tuple[np.ndarray, list[np.ndarray]]] = {
    "axes along the patient": (np.eye(3), []),
    "oblique": (TILTED, []),
    "axes permuted": (np.eye(3)[:, [2, 0, 1]], []),
    "directions flipped": (np.diag([-1.0, -1.0, 1.0]), []),
    "left-handed and oblique": (TILTED @ np.diag([1.0, 1.0, -1.0]), []),
    "gantry tilt": (np.array([[1, 0, 0], [0, 1, 0.3], [0, 0, 0.954]]), []),
    "parent rotated and moved": (np.eye(3), [np.c_[rotation(0, 0, 40), [5.0, -70.0, 33.0]]]),
    "chain of parents with shear": (
        TILTED,
        [np.c_[np.diag([1.5, 1.0, 0.7]), [1.0, 2.0, 3.0]], np.c_[rotation(10, 80, 0) @ SHEAR, [-9.0, 0.0, 4.0]]],
    ),
}


@dataclass
class SceneBuilder:
    """Adds volumes, transforms, segmentations and ROIs to a scene."""

    scene: Any

    def transform(self, *matrices: np.ndarray) -> str | None:
        """Linear transforms, each under the next; the ID of the innermost."""
        parent: str | None = None
        for matrix in reversed(matrices):
            node = self.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
            node.SetMatrixTransformToParent(vtk_matrix(matrix))
            node.SetAndObserveTransformNodeID(parent)
            parent = node.GetID()
        return parent

    def warp(self) -> str:
        """ID of a transform that bends: it moves a point in the volumes here by 9 mm, and points far away not at all."""
        bend = vtk.vtkThinPlateSplineTransform()
        points = vtk.vtkPoints(), vtk.vtkPoints()
        fixed = np.array(list(np.ndindex(2, 2, 2))) * 120.0 - 60
        for n, point in enumerate(np.vstack([[-8.0, 36.0, 14.0], fixed])):
            points[0].InsertNextPoint(point)
            points[1].InsertNextPoint(point + (n == 0) * 9.0)
        bend.SetSourceLandmarks(points[0])
        bend.SetTargetLandmarks(points[1])
        bend.SetBasisToR()
        node = self.scene.AddNewNodeByClass("vtkMRMLTransformNode", "bend")
        node.SetAndObserveTransformToParent(bend)
        return node.GetID()

    def acquisition_transform(self, volume: Any, shifts: np.ndarray) -> Any:
        """The volume's parent from now on: a grid transform that moves each slice along K by a shift, (K, 3) RAS mm.

        Made as Slicer makes it for a series that is not on a grid with right angles.
        """
        columns, rows, slices = volume.GetImageData().GetDimensions()
        grid = vtk.vtkImageData()
        grid.SetOrigin(*volume.GetOrigin())
        grid.SetDimensions(2, 2, slices)
        i, j, k = volume.GetSpacing()
        grid.SetSpacing(i * columns, j * rows, k)
        displacements = np.repeat(np.asarray(shifts, float), 4, axis=0)
        grid.GetPointData().SetScalars(numpy_to_vtk(displacements, deep=True))
        directions = vtk.vtkMatrix4x4()
        volume.GetIJKToRASDirectionMatrix(directions)
        transform = slicer.vtkOrientedGridTransform()
        transform.SetGridDirectionMatrix(directions)
        transform.SetDisplacementGridData(grid)
        node = self.scene.AddNewNodeByClass("vtkMRMLGridTransformNode", "acquisition transform")
        node.SetAndObserveTransformToParent(transform)
        volume.SetAndObserveTransformNodeID(node.GetID())
        return node

    def volume(
        self,
        voxels: np.ndarray,
        spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
        directions: np.ndarray | None = None,
        origin: tuple[float, float, float] = (-12.0, 30.0, 7.0),
        parents: list[np.ndarray] | None = None,
        name: str = "CT",
        class_name: str = "vtkMRMLScalarVolumeNode",
    ) -> Any:
        """A volume node of (k, j, i) voxels, whose memory it takes over."""
        voxels = np.ascontiguousarray(voxels)
        image = vtk.vtkImageData()
        image.SetDimensions(voxels.shape[2], voxels.shape[1], voxels.shape[0])
        image.GetPointData().SetScalars(numpy_to_vtk(voxels.reshape(-1, *voxels.shape[3:]), deep=True))
        node = self.scene.AddNewNodeByClass(class_name, name)
        node.SetAndObserveImageData(image)
        columns = np.eye(3) if directions is None else directions
        node.SetIJKToRASMatrix(vtk_matrix(np.c_[columns * spacing, origin]))
        node.SetAndObserveTransformNodeID(self.transform(*(parents or [])))
        return node

    def volume_in(self, geometry: str, shape: tuple[int, int, int] = (9, 12, 14), **more: Any) -> Any:
        """An int16 volume of noise in one of `GEOMETRIES`, voxels 0.8 x 1.3 x 3.1 mm."""
        directions, parents = GEOMETRIES[geometry]
        noise = np.random.default_rng(5).integers(-900, 900, shape, dtype=np.int16)
        return self.volume(noise, (0.8, 1.3, 3.1), directions, parents=parents, **more)

    def segmentation(self, volume: Any | None = None, *names: str) -> Any:
        """A segmentation with empty segments, whose IDs are `names`, in the volume's geometry and transform."""
        node = self.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Segmentation")
        node.CreateDefaultDisplayNodes()
        if volume is not None:
            node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
            node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        for name in names:
            node.GetSegmentation().AddEmptySegment(name, name)
        return node

    def roi(
        self, center: Any, size: Any, turned: np.ndarray | None = None, parents: list[np.ndarray] | None = None
    ) -> Any:
        """An ROI; center and axes in the coordinates of its innermost parent transform."""
        node = self.scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "R")
        node.SetAndObserveTransformNodeID(self.transform(*(parents or [])))
        node.SetAndObserveObjectToNodeMatrix(vtk_matrix(np.c_[np.eye(3) if turned is None else turned, center]))
        node.SetSize(*size)
        return node
