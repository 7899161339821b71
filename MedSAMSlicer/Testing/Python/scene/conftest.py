"""Small volumes, segmentations and ROIs in a real MRML scene."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from host.fixture import host  # noqa: F401
from MedSAMSlicerLib.engine.serving import service as engine_service
from MedSAMSlicerLib.scene.worker.worker_client import WorkerClient
from support import threshold_service
from support.ball_in_scene import BallInScene
from support.component_model import load_component_model
from support.component_service import RecordingService
from support.contour_editor_fixture import ContourEditorFixture, CountingService
from support.in_process_client import Client, InProcessClient
from support.scene_builder import GEOMETRIES, SceneBuilder, new_scene, rotation
from support.segment_writer_fixture import EditorFactory, SegmentWriterFixture, effect_editor, logic_editor
from support.subprocess_client import subprocess_client
from support.two_rod_phantom import TwoRodPhantom
from support.worker_runs import WorkerClientFactory


@pytest.fixture
def scene_builder() -> SceneBuilder:
    return SceneBuilder(new_scene())


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
def make_worker_client() -> Iterator[WorkerClientFactory]:
    """Makes clients of real processes with one of the engines of `threshold_service`, or with another command."""
    made: list[WorkerClient] = []

    def make(service: str = "ThresholdService", command: list[str] | None = None, **more: Any) -> WorkerClient:
        made.append(subprocess_client(f"support.threshold_service:{service}", command, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(params=["logic", pytest.param("effect", marks=pytest.mark.slow)])
def editing(request: pytest.FixtureRequest) -> EditorFactory:
    """Makes scenes and editors for either way to write: without the Segment Editor, and from an effect in it."""
    if request.param == "logic":
        return EditorFactory(request.getfixturevalue("scene_builder"), logic_editor)
    application = request.getfixturevalue("host")
    return EditorFactory(SceneBuilder(application.scene), partial(effect_editor, application))


@pytest.fixture
def make_writer_fixture(editing: EditorFactory, segment_in: Any) -> Callable[..., SegmentWriterFixture]:
    return partial(SegmentWriterFixture, editing.scene_builder, segment_in, editing.make_editor)


@pytest.fixture
def writer_fixture(make_writer_fixture: Callable[..., SegmentWriterFixture]) -> SegmentWriterFixture:
    return make_writer_fixture()


@pytest.fixture(params=["direct", "process"])
def make_runner(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Client]]:
    """Makes runners of an engine of `threshold_service`: called directly, or in a process of its own."""
    made: list[Client] = []

    def make(service: str = "ThresholdService") -> Client:
        if request.param == "direct":
            made.append(InProcessClient(getattr(threshold_service, service)()))
        else:
            made.append(subprocess_client(f"support.threshold_service:{service}"))
        return made[-1]

    yield make
    for runner in made:
        runner.close()


@pytest.fixture
def ball_with(scene_builder: Any, make_runner: Callable[..., Client], segment_in: Any) -> Callable[..., BallInScene]:
    """Makes a `BallInScene` with a service of `threshold_service`, in this process and in one of its own."""
    return lambda service="ThresholdService", **options: BallInScene(
        scene_builder, make_runner(service), segment_in, **options
    )


@pytest.fixture
def ball_in_process(scene_builder: Any, segment_in: Any) -> Callable[..., BallInScene]:
    """Makes a `BallInScene` whose service runs in this process."""

    def make(service: str = "ThresholdService", **options: Any) -> BallInScene:
        client = InProcessClient(getattr(threshold_service, service)())
        return BallInScene(scene_builder, client, segment_in, **options)

    return make


@pytest.fixture
def service() -> CountingService:
    return CountingService()


@pytest.fixture
def editor_fixture(scene_builder: Any, service: CountingService) -> ContourEditorFixture:
    return ContourEditorFixture(scene_builder, InProcessClient(service))


@pytest.fixture
def make_editor_fixture(scene_builder: Any) -> Iterator[Callable[[str], ContourEditorFixture]]:
    """Makes a `ContourEditorFixture` whose engine, a service of `threshold_service`, runs in a process of its own."""
    clients: list[WorkerClient] = []

    def make(service: str) -> ContourEditorFixture:
        clients.append(subprocess_client(f"support.threshold_service:{service}"))
        return ContourEditorFixture(scene_builder, clients[-1])

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> RecordingService:
    """Without weights; it segments the rods that clicks select."""
    monkeypatch.setattr(engine_service, "load_predictor", load_component_model)
    return RecordingService()


@pytest.fixture
def two_rods(scene_builder: SceneBuilder, engine: RecordingService) -> TwoRodPhantom:
    return TwoRodPhantom(scene_builder, engine)
