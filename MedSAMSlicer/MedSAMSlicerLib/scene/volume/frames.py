"""The frames of a volume that a sequence browser shows, such as the phases of a heart."""

from __future__ import annotations

from dataclasses import dataclass

import slicer

from ...engine.errors import InputError
from ...engine.i18n import tr as _
from .geometry import label


@dataclass(frozen=True)
class Frames:
    """A sequence of volumes, and the browser that shows one of them in the volume of the scene, its proxy.

    Attributes:
        browser: the browser.
        sequence: the volumes.
    """

    browser: slicer.vtkMRMLSequenceBrowserNode
    sequence: slicer.vtkMRMLSequenceNode

    @classmethod
    def of(cls, volume_node: slicer.vtkMRMLScalarVolumeNode) -> Frames | None:
        """The frames of a volume; None if no browser shows several in it."""
        scene = volume_node.GetScene()
        for number in range(0 if scene is None else scene.GetNumberOfNodesByClass("vtkMRMLSequenceBrowserNode")):
            browser = scene.GetNthNodeByClass(number, "vtkMRMLSequenceBrowserNode")
            sequence = browser.GetSequenceNode(volume_node)
            if sequence is not None and browser.GetMasterSequenceNode() is not None and browser.GetNumberOfItems() > 1:
                return cls(browser, sequence)
        return None

    @property
    def count(self) -> int:
        """Number of frames."""
        return int(self.browser.GetNumberOfItems())

    @property
    def shown(self) -> int:
        """The frame that the volume shows, from 0."""
        return int(self.browser.GetSelectedItemNumber())

    def index_value(self, frame: int) -> str:
        """Value, such as a time, by which the browser finds the frame in each of its sequences.

        Raises:
            InputError: the browser or its sequences were deleted.
        """
        master = self.browser.GetMasterSequenceNode()
        if master is None:
            raise InputError(_("the sequence was deleted: load it again"))
        return str(master.GetNthIndexValue(frame))

    def volume(self, frame: int) -> slicer.vtkMRMLScalarVolumeNode:
        """The volume of a frame. It is not in the scene of the browser, and under no transform.

        Raises:
            InputError: the sequence has no volume for this frame, or was deleted.
        """
        node = self.sequence.GetDataNodeAtValue(self.index_value(frame))
        if node is None or not node.IsA("vtkMRMLScalarVolumeNode"):
            text = _("{sequence} has no volume for frame {frame}: load the sequence again")
            raise InputError(text.format(sequence=label(self.sequence), frame=frame))
        return node
