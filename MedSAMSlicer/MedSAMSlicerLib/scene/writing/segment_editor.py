"""What a segment editor has to offer for results to be written through it."""

from __future__ import annotations

from typing import Protocol

import slicer

from ...engine.errors import MedSAMError
from ...engine.i18n import tr as _
from ..state.modes import Mode
from ..volume.geometry import label


class WriteError(MedSAMError):
    """The segment editor failed while it wrote a result. The segmentation is as it was before.

    Args:
        segmentation_node: the segmentation.
        reason: what the editor reports, in one line.
    """

    def __init__(self, segmentation_node: slicer.vtkMRMLSegmentationNode, reason: str) -> None:
        text = _("{segmentation_node} could not be changed and is as it was: {reason}")
        super().__init__(text.format(segmentation_node=label(segmentation_node), reason=reason))


class SegmentEditor(Protocol):
    """A Segment Editor as `SegmentWriter` uses it.

    There are two: `EditorAdapter` edits as the effect that is active in the Segment Editor, `LogicEditor` works where
    the Segment Editor is not open.
    """

    @property
    def node(self) -> slicer.vtkMRMLSegmentEditorNode | None:
        """Names the selected segmentation and segment, the masking, and the overwrite mode; None if there is none."""
        ...

    def save_state_for_undo(self) -> None:
        """Make the segmentation as it is now the state that the editor's Undo returns to."""
        ...

    def modify(self, labelmap: slicer.vtkOrientedImageData, mode: Mode) -> None:
        """Change the selected segment, where masking allows it, and the other segments by the overwrite mode.

        Args:
            labelmap: 1 where the segment is to change, else 0, over any part of the reference geometry. The mode
                "replace" clears the segment also outside of it.

        Raises:
            WriteError: the editor reports a failure. The segmentation may be left half changed.
        """
        ...
