"""One segment of one volume, what is marked for it, and which slices of the volume that means."""

from __future__ import annotations

import numpy as np
import slicer

from ...engine.errors import MedSAMError
from ..volume.node_watch import NodeWatch
from ..volume.slice_stack import default_axis_of
from ..volume.view_plane import Plane, Stack, ViewGeometry, plane_of
from .prompts import Prompts


class SegmentState:
    """Attributes:
        prompts: what is marked; None if nothing is.
        gone: whether the volume, the segmentation or the segment has left the scene.

    Args:
        volume_node, segmentation_node, segment_id: of one scene.

    Raises:
        InputError: a node or the segment is in no scene, or the volume cannot be used.
    """

    def __init__(
        self,
        volume_node: slicer.vtkMRMLScalarVolumeNode,
        segmentation_node: slicer.vtkMRMLSegmentationNode,
        segment_id: str,
    ) -> None:
        self.volume_node, self.segmentation_node, self.segment_id = volume_node, segmentation_node, segment_id
        self.prompts: Prompts | None = None
        self.gone = False
        self._watch = NodeWatch(volume_node, segmentation_node, segment_id, self._lost)
        default_axis_of(volume_node)

    @property
    def plane(self) -> Plane | None:
        """Plane of the prompts and the result."""
        return None if self.prompts is None else self.prompts.plane

    def stack(self, plane: Plane | None = None) -> Stack:
        """The volume in slices of a plane, or of the prompts'. Raises InputError if it cannot be used."""
        return (plane or self.plane or Plane(default_axis_of(self.volume_node))).stack(self.volume_node)

    def plane_in(self, view: ViewGeometry) -> Plane:
        """Plane of a rectangle drawn in the view: the one in use, if the view shows that."""
        if self.plane is not None and self.plane.is_shown_by(view, self.volume_node):
            return self.plane
        return plane_of(view, self.volume_node)

    def index_in(self, view: ViewGeometry, plane: Plane | None = None) -> int:
        """Slice that the view's middle lies in, or the nearest one of the stack."""
        stack = self.stack(plane or self.plane_in(view))
        middle = view.to_world((view.size[0] / 2, view.size[1] / 2))
        return int(np.clip(np.floor(stack.world_to_slice(middle[None])[0, 0] + 0.5), 0, stack.shape[0] - 1))

    def check_nodes(self) -> None:
        """Raises InputError if the volume, the segmentation or the segment is gone."""
        self._watch.check()

    def _lost(self, reason: MedSAMError) -> None:
        """One of them has left the scene."""
        self.gone = True
