"""Small volumes, segmentations and ROIs in a real MRML scene."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

import bright_service
from bright_service import FOLDER, BrightService
from MedSAMSlicerLib.engine.serving import service as engine_service
from MedSAMSlicerLib.engine.serving.in_process_client import InProcessClient
from MedSAMSlicerLib.engine.serving.inference_client import InferenceClient
from MedSAMSlicerLib.scene.worker.transports import SubprocessTransport, worker_command, worker_environment
from MedSAMSlicerLib.scene.worker.worker_client import WorkerClient
from support.clicked_model import load_clicked
from support.clicked_service import NotingService
from support.clinic import Clinic
from support.desk import CountingService, Desk
from support.rods import Rods
from support.session_cases import Case
from support.worker_runs import Link
from support.world import GEOMETRIES, World, rotation


@pytest.fixture
def world() -> World:
    scene = slicer.vtkMRMLScene()
    # Slicer's Segmentations module does this at start: without it segments have no representations.
    slicer.vtkSlicerSegmentationsModuleLogic().SetMRMLScene(scene)
    return World(scene)


@pytest.fixture(params=GEOMETRIES)
def geometry(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params="IJK")
def axis(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def turn() -> Callable[..., np.ndarray]:
    return rotation


def slicer_world_points(volume: Any) -> np.ndarray:
    """(k, j, i, 3) world position of every voxel centre, asked of Slicer point by point."""
    ijk_to_ras = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(ijk_to_ras)
    to_world = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(volume.GetParentTransformNode(), None, to_world)
    shape = volume.GetImageData().GetDimensions()[::-1]
    points = np.empty((*shape, 3))
    for k, j, i in np.ndindex(*shape):
        points[k, j, i] = to_world.TransformPoint(ijk_to_ras.MultiplyPoint((i, j, k, 1.0))[:3])
    return points


@pytest.fixture
def world_points() -> Callable[[Any], np.ndarray]:
    return slicer_world_points


def read_segment(segmentation: Any, segment_id: str, volume: Any) -> np.ndarray:
    """(k, j, i) bool: the segment in the volume's voxels."""
    if segmentation.GetTransformNodeID() == volume.GetTransformNodeID():
        return exported_by_slicer(segmentation, segment_id, volume)
    return looked_up(segmentation, segment_id, volume)


def exported_by_slicer(segmentation: Any, segment_id: str, volume: Any) -> np.ndarray:
    labelmap = segmentation.GetScene().AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    ids = vtk.vtkStringArray()
    ids.InsertNextValue(segment_id)
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    assert logic.ExportSegmentsToLabelmapNode(segmentation, ids, labelmap, volume)
    image = labelmap.GetImageData()
    voxels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1]) > 0
    segmentation.GetScene().RemoveNode(labelmap)
    return voxels


def looked_up(segmentation: Any, segment_id: str, volume: Any) -> np.ndarray:
    """Voxel by voxel, because Slicer's export resamples twice, not exactly, where the parent transforms differ."""
    segment = segmentation.GetSegmentation().GetSegment(segment_id)
    labelmap = segment.GetRepresentation("Binary labelmap")
    matrix = vtk.vtkMatrix4x4()
    labelmap.GetWorldToImageMatrix(matrix)
    points = slicer_world_points(volume)
    result = np.zeros(points.shape[:3], bool)
    for voxel in np.ndindex(*result.shape):
        in_node = [0.0, 0.0, 0.0]
        segmentation.TransformPointFromWorld(points[voxel].tolist(), in_node)
        ijk = [round(n) for n in matrix.MultiplyPoint((*in_node, 1.0))[:3]]
        extent = labelmap.GetExtent()
        if all(extent[2 * n] <= ijk[n] <= extent[2 * n + 1] for n in range(3)):
            result[voxel] = labelmap.GetScalarComponentAsDouble(*ijk, 0) == segment.GetLabelValue()
    return result


@pytest.fixture
def segment_in() -> Callable[[Any, str, Any], np.ndarray]:
    return read_segment


@pytest.fixture
def link() -> Iterator[Link]:
    """Makes links to real processes with one of the engines of `bright_service`, or with another command."""
    made: list[WorkerClient] = []

    def make(service: str = "BrightService", command: list[str] | None = None, **more: Any) -> WorkerClient:
        command = command or worker_command(f"bright_service:{service}")
        environment = worker_environment([FOLDER])
        made.append(WorkerClient(lambda: SubprocessTransport(command, environment), **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def clinic(world, segment_in) -> Clinic:
    return Clinic(world, segment_in)


@pytest.fixture(params=["direct", "process"])
def make_runner(request: pytest.FixtureRequest) -> Iterator[Callable[[str], InferenceClient]]:
    """Makes runners of an engine of `bright_service`: called directly, or in a process of its own."""
    made: list[InferenceClient] = []

    def make(service: str = "BrightService") -> InferenceClient:
        if request.param == "direct":
            made.append(InProcessClient(getattr(bright_service, service)()))
        else:
            command = worker_command(f"bright_service:{service}")
            made.append(WorkerClient(lambda: SubprocessTransport(command, worker_environment([FOLDER]))))
        return made[-1]

    yield make
    for runner in made:
        runner.close()


@pytest.fixture
def case(world: Any, make_runner: Callable[..., InferenceClient], segment_in: Any) -> Callable[..., Case]:
    """Makes a case for either way of running."""
    return lambda service="BrightService", **options: Case(world, make_runner(service), segment_in, **options)


@pytest.fixture
def direct(world: Any, segment_in: Any) -> Callable[..., Case]:
    """Makes a case for the engine called directly, where the way of running makes no difference."""
    return lambda service=None, **options: Case(
        world, InProcessClient((service or BrightService)()), segment_in, **options
    )


@pytest.fixture
def service() -> CountingService:
    return CountingService()


@pytest.fixture
def desk(world: Any, service: CountingService) -> Desk:
    return Desk(world, InProcessClient(service))


@pytest.fixture
def desk_with(world: Any) -> Iterator[Callable[[str], Desk]]:
    """A desk whose engine is a service of `bright_service` in a process of its own."""
    links: list[WorkerClient] = []

    def make(service: str) -> Desk:
        command = worker_command(f"bright_service:{service}")
        environment = worker_environment([bright_service.FOLDER])
        links.append(WorkerClient(lambda: SubprocessTransport(command, environment)))
        return Desk(world, links[-1])

    yield make
    for link in links:
        link.close()


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> NotingService:
    """Without weights; it finds the rods that clicks name."""
    monkeypatch.setattr(engine_service, "load_predictor", load_clicked)
    return NotingService()


@pytest.fixture
def rods(world: World, engine: NotingService) -> Rods:
    return Rods(world, engine)
