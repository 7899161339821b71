"""What was segmented in an image, as a segment on the voxels of a DICOM series."""

from __future__ import annotations

from ..engine.provenance import provenance_text
from ..io.segmentation import Segmentation
from .grid import move_mask
from .read_segments import grid_of
from .segments import COLOURS, Review, Segment, kind_of
from .source_series import SourceSeries


def segment_on_series(
    segmentation: Segmentation,
    series: SourceSeries,
    *,
    name: str,
    kind: str | None = None,
    review: Review = Review(),  # noqa: B008 - it cannot be changed
) -> Segment:
    """Bring a result to the voxels of a DICOM series, for `write_rtstruct` and `write_dicom`.

    Parameters
    ----------
    segmentation : Segmentation
    series : SourceSeries
        From `read_source_series`: the series that was segmented, or of which the image was made.
    name : str
        Name in the files. TG-263 wants at most 16 characters without spaces, such as "GTVp".
    kind : {"GTV", "CTV", "PTV", "ORGAN"}, optional
        By default what the name suggests.
    review : Review
        Whether a person has looked at every slice that needs it.

    Returns
    -------
    Segment
        Its `provenance` names the model, the checksum of its weights, and the prompts. `resampled` is True if the image has
        other voxels than the series.

    Raises
    ------
    InputError
        The mask is empty, or a part of it lies outside of the series.
    """
    mask, resampled = move_mask(segmentation.mask, grid_of(segmentation.image), series.grid, name)
    provenance = provenance_text(segmentation.model, segmentation.prompt.stack, segmentation.slices_to_review)
    return Segment(name, mask, kind or kind_of(name), COLOURS[0], provenance, review, resampled)
