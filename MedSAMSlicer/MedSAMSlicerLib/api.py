"""Segment tumours and organs in 3D images from Python, without Slicer.

>>> import MedSAMSlicerLib.api as medsam
>>> image = medsam.read_image("ct.nrrd")
>>> result = medsam.segment(image, box=((318, 404), (333, 398), (15, 25)), window="lung")
>>> medsam.write_segmentation("tumour.seg.nrrd", result, name="GTV")
>>> print(result.volume_ml, result.slices_to_review)

Voxel indices (i, j, k) are those of the image file: they count from 0 at the centre of the first voxel, and ranges include
both ends. Arrays are in numpy order (k, j, i), as SimpleITK returns them. Slices are counted along one index axis; on a
slice, x counts columns and y counts rows, along the two other axes in the order I, J, K. Millimetres are RAS.

Every error that a user can cause is a `MedSAMError`, whose text is one line that says what is wrong and what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .engine.environment import DEFAULT_EMBEDDINGS_MB, DEFAULT_MODEL, embeddings_disk_megabytes
from .engine.errors import InputError, MedSAMError, WeightsError, WorkerError, as_user_error, shown
from .engine.finite import check_finite_in_prompt
from .engine.intensity import Window, WindowedStack, choose_window, window_option
from .engine.model_choice import LoadedModel, ModelChoice, RunInfo
from .engine.models.catalogue import find_model
from .engine.prompts import Box, KeyMask, MaskPrompt, Points, SlicePrompt, StackPrompt
from .engine.provenance import PROVENANCE_TAG, provenance_text
from .engine.results import SliceResult, StackResult
from .engine.serving.run_log import RunLog
from .engine.stack import ArrayStack, SliceSource, default_axis, from_slices_first
from .engine.volume.oriented_box import roi_boxes
from .engine.volume.volume_prompt import BoxArgument, KeyMasksArgument, KeySliceArgument, VolumePrompt, volume_prompt
from .handoff.compare import Comparison, SetComparison, compare
from .handoff.margins import grow
from .handoff.measure import Measurements
from .handoff.read_segments import SegmentSet, read_segments
from .handoff.recist import Response
from .handoff.result_segment import segment_on_series
from .handoff.rtstruct import write_rtstruct
from .handoff.segments import COLOURS, Review, Segment
from .handoff.source_series import SourceSeries, read_source_series
from .handoff.write_dicom import measure_segment, write_dicom
from .io.image import Image
from .io.image_files import read_image
from .io.roi_file import read_roi
from .io.segmentation import Segmentation
from .io.segmentations import write_segmentation as _write_mask

if TYPE_CHECKING:
    from .engine.propagation.prompt_jitter import JitterAgreement
    from .engine.serving.service import SegmentationService

__all__ = [
    "Box",
    "Comparison",
    "Image",
    "InputError",
    "KeyMask",
    "MaskPrompt",
    "Measurements",
    "MedSAMError",
    "Model",
    "Points",
    "Response",
    "Review",
    "Segment",
    "SegmentSet",
    "Segmentation",
    "SetComparison",
    "SlicePrompt",
    "SliceResult",
    "SourceSeries",
    "VolumePrompt",
    "WeightsError",
    "Window",
    "WorkerError",
    "compare",
    "grow",
    "load_model",
    "make_prompt",
    "measure_segment",
    "read_image",
    "read_segments",
    "read_source_series",
    "segment",
    "segment_on_series",
    "write_dicom",
    "write_rtstruct",
    "write_segmentation",
]

SEGMENT_COLOUR = COLOURS[0]
MOST_RECTANGLES = 100
"""Each rectangle costs a run of the decoder on every slice, and all masks of a slice are in memory at once."""


class Model:
    """A loaded model that keeps the embeddings of the slices that it has encoded. Made by `load_model`.

    Encoding a slice takes most of the time of a segmentation. A second prompt on the same slices, seen through the same
    window, uses the stored embeddings and encodes nothing. One model serves one thread at a time.

    Attributes
    ----------
    loaded : LoadedModel
        Key of the model, SHA-256 of its weights and of its adapter, device and runtime.
    """

    def __init__(self, service: SegmentationService, choice: ModelChoice, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self._service, self._choice = service, choice

    @property
    def prompts(self) -> frozenset[str]:
        """Kinds of prompt that the model was trained for, among "box", "points" and "mask"."""
        return find_model(self._choice.model).prompts

    def forget_embeddings(self) -> None:
        """Free the memory and the disk space of stored embeddings; the model stays loaded."""
        self._service.clear_cache()

    def __repr__(self) -> str:
        return f"Model({self.loaded.model!r}, device={self.loaded.device!r}, runtime={self.loaded.runtime!r})"


def load_model(
    model: str = DEFAULT_MODEL,
    *,
    weights: str | Path | None = None,
    device: str = "auto",
    runtime: str = "auto",
    embeddings_mb: int = DEFAULT_EMBEDDINGS_MB,
    embeddings_disk_mb: int | None = None,
) -> Model:
    """Load a model for several calls of `segment`.

    Parameters
    ----------
    model : str
        Key of the catalogue: "litemedsam_plus", "litemedsam", "medsam", "mobile_sam", "sam_med2d", "sam_vit_b",
        "sam_vit_l" or "sam_vit_h"; key of an imported adapter; or path of an adapter file (``.medsam``).
    weights : str or Path, optional
        Weights file. By default the installed or imported one; nothing is downloaded.
    device : {"auto", "cpu", "cpu-bf16", "cpu-int8", "cuda", "mps", "intel-gpu", "intel-npu"}
    runtime : {"auto", "torch", "openvino"}
    embeddings_mb : int
        Memory for embeddings in megabytes. An embedding of LiteMedSAM takes 4 MB.
    embeddings_disk_mb : int, optional
        Disk space for embeddings in the cache folder, in megabytes; 0 stores none. By default
        ``$MEDSAM_SLICER_EMBEDDINGS_DISK_MB``, or 0.

    Returns
    -------
    Model

    Raises
    ------
    InputError
        The model, device or runtime is unknown or not available.
    WeightsError
        The weights are missing, belong to another model, or do not match their checksum.

    Examples
    --------
    >>> model = load_model("litemedsam", device="cpu")
    >>> for box in boxes:
    ...     print(segment(image, box=box, model=model).volume_ml)
    """
    choice = ModelChoice(model, None if weights is None else str(weights), device, runtime)
    disk_mb = embeddings_disk_megabytes() if embeddings_disk_mb is None else embeddings_disk_mb
    for name, megabytes in (("embeddings_mb", embeddings_mb), ("embeddings_disk_mb", disk_mb)):
        if not isinstance(megabytes, int) or megabytes < 0:
            raise InputError(f"{name} is {shown(megabytes)}: give a whole number of megabytes, or 0 for none")
    with _user_errors():
        # Imports torch, which takes seconds.
        from .engine.inference.embedding_store import open_embedding_store
        from .engine.serving.service import SegmentationService

        service = SegmentationService(embeddings_mb << 20, open_embedding_store(disk_mb))
        return Model(service, choice, service.load(choice))


def make_prompt(
    image: Image,
    *,
    box: BoxArgument | None = None,
    roi: str | Path | None = None,
    key_slices: Mapping[int, KeySliceArgument] | None = None,
    points: Sequence[Sequence[float]] | np.ndarray | None = None,
    point_labels: Sequence[bool] | np.ndarray | None = None,
    mask: np.ndarray | None = None,
    key_masks: KeyMasksArgument | None = None,
    slice_range: Sequence[int] | None = None,
    axis: str | None = None,
) -> VolumePrompt:
    """Convert prompts in voxel indices to prompts on slices; see `segment` for the parameters.

    `segment` does this itself. Call it to check a prompt before a model is loaded, or to use one prompt with several
    models.

    Returns
    -------
    VolumePrompt
        For ``segment(image, prompt=...)``.

    Raises
    ------
    InputError
        As `segment` does for a prompt.
    """
    _check_image(image)
    axis = default_axis(image.spacing_ijk, image.ijk_to_ras, image.dimensions) if axis is None else axis
    region = None if roi is None else read_roi(roi)
    return volume_prompt(
        image.dimensions,
        axis,
        None if region is None else roi_boxes(region.corners, image.ijk_to_ras, image.dimensions, region.name),
        box=box,
        key_slices=key_slices,
        points=points,
        point_labels=point_labels,
        mask=mask,
        key_masks=key_masks,
        slice_range=slice_range,
    )


def segment(
    image: Image,
    *,
    box: BoxArgument | None = None,
    roi: str | Path | None = None,
    key_slices: Mapping[int, KeySliceArgument] | None = None,
    points: Sequence[Sequence[float]] | np.ndarray | None = None,
    point_labels: Sequence[bool] | np.ndarray | None = None,
    mask: np.ndarray | None = None,
    key_masks: KeyMasksArgument | None = None,
    slice_range: Sequence[int] | None = None,
    axis: str | None = None,
    prompt: VolumePrompt | None = None,
    model: str | Model = DEFAULT_MODEL,
    weights: str | Path | None = None,
    device: str = "auto",
    runtime: str = "auto",
    window: str | tuple[float, float] | Window = "auto",
    consensus: int = 0,
    on_slice: Callable[[SliceResult], object] | None = None,
) -> Segmentation:
    """Segment one object in an image.

    Prompts can be combined. The model starts on the prompted slices and propagates to their neighbours: within `box`,
    `roi` or `slice_range` if one is given, otherwise as far as the object extends.

    Parameters
    ----------
    image : Image
        From `read_image` or `Image.from_array`. It is not changed.
    box : ((i0, i1), (j0, j1), (k0, k1)), optional
        3D box around the object: voxel ranges along I, J, K, both ends included. No voxel outside becomes part of the
        result, but those of key masks.
    roi : str or Path, optional
        The same as a Markups file of Slicer (``.mrk.json``) with one ROI, which may be rotated.
    key_slices : mapping of int to (x0, y0, x1, y1), mapping, Box or SlicePrompt, optional
        Slice index -> rectangle around the object on that slice, edges included; or a mapping with one or more of "box":
        (x0, y0, x1, y1), "points": [(x, y, True or False), ...] (True: in the object) and "mask": (rows, columns) array.
    points : (N, 3) array_like, optional
        Points (i, j, k) in voxel indices, in or outside of the object. Fractions are allowed.
    point_labels : (N,) array_like of bool, optional
        For each point, whether it lies in the object. By default all do.
    mask : (K, J, I) ndarray of bool, optional
        Rough mask. On every slice on which it is not empty, the model starts from it.
    key_masks : (K, J, I) ndarray or mapping of int to (rows, columns) ndarray, optional
        Final masks of slices, such as corrected ones: a labelmap, of which every slice that holds something counts, or
        slice index -> mask, which may be empty where the object is not. They are part of the result voxel for voxel,
        and guide the slices around them. For every model. Nothing else may be given on their slices.
    slice_range : (int, int), optional
        First and last slice that may show the object, both included. Not together with `box` or `roi`, which say it.
    axis : {"I", "J", "K"}, optional
        Index axis along which slices are counted. By default the axis with the coarsest spacing; among equals, the one
        nearest to superior-inferior.
    prompt : VolumePrompt, optional
        Prompt made by `make_prompt`, in place of all parameters above but `image`.
    model : str or Model
        Key of a model that is loaded for this call, or a loaded model, whose embeddings are used again.
    weights, device, runtime : optional
        As for `load_model`. Not together with a loaded model.
    window : str, (float, float) or Window
        Intensity window: "auto", one of "soft-tissue", "lung", "mediastinum", "brain", "bone" and "liver", or level and
        width. "auto" is the soft-tissue window for CT, and percentiles of the foreground for other images.
    consensus : int
        If not 0, predict each prompted slice from this number of slightly different rectangles, 2 to 100, and report
        how well the masks agree.
    on_slice : callable, optional
        Called with each `SliceResult` as soon as it is found, each slice once, in the order of propagation. An exception
        that it raises ends the run and reaches the caller.

    Returns
    -------
    Segmentation

    Raises
    ------
    InputError
        The prompt is missing, lies outside the image, or is of a kind that the model was not trained for; or another
        parameter is not valid.
    WeightsError
        The weights are missing, belong to another model, or do not match their checksum.
    WorkerError
        Inference failed, for example because memory ran out.

    See Also
    --------
    load_model : Load a model once for several prompts.
    write_segmentation : Write the result to a file.

    Notes
    -----
    The Segment Editor effect and the command line compute with the same engine: the same prompt, window and model give
    the same voxels. ``docs/algorithm.md`` describes the propagation.

    Examples
    --------
    >>> result = segment(image, box=((318, 404), (333, 398), (15, 25)), window="lung")
    >>> result = segment(image, key_slices={20: (318, 333, 404, 398)})
    >>> result = segment(image, points=[(360, 365, 20), (330, 390, 20)], point_labels=[True, False],
    ...                  model="sam_med2d")
    """
    prompts = {
        "box": box,
        "roi": roi,
        "key_slices": key_slices,
        "points": points,
        "point_labels": point_labels,
        "mask": mask,
        "key_masks": key_masks,
        "slice_range": slice_range,
        "axis": axis,
    }
    _check_image(image)
    if not isinstance(consensus, int) or (consensus != 0 and not 2 <= consensus <= MOST_RECTANGLES):
        raise InputError(f"consensus is {shown(consensus)}: give 2 to {MOST_RECTANGLES} rectangles, or 0 for none")
    if on_slice is not None and not callable(on_slice):
        raise InputError("on_slice cannot be called: give a function")
    if prompt is None:
        prompt = make_prompt(image, **prompts)  # type: ignore[arg-type]
    elif not isinstance(prompt, VolumePrompt):
        raise InputError(f"prompt is a {type(prompt).__name__}: give what make_prompt returns")
    elif given := [name for name, value in prompts.items() if value is not None]:
        raise InputError(f"prompt and {', '.join(given)} were given: give a finished prompt, or the parts of one")
    stack = ArrayStack(image.voxels, image.spacing_ijk, prompt.axis)
    prompt.stack.checked_for(stack.shape)
    check_finite_in_prompt(stack, prompt.stack)
    if not isinstance(window, Window):
        window = choose_window(window_option(window), stack, image.modality)
    if isinstance(model, Model):
        if (weights, device, runtime) != (None, "auto", "auto"):
            raise InputError("weights, device and runtime belong to load_model: the model is loaded already")
    else:
        find_model(model).check_prompts(*(given.kinds for given in prompt.stack.slices.values()))
        model = load_model(model, weights=weights, device=device, runtime=runtime)

    source, info, found = WindowedStack(stack, window), RunInfo(), StackResult(stack.shape)
    agreement: dict[int, JitterAgreement] = {}
    for result in _results(model, source, prompt.stack, info):
        limited = prompt.limited(result, image.ijk_to_ras)
        found.add(limited)
        if consensus and limited.box is not None and limited.index not in prompt.stack.key_masks:
            agreement[limited.index] = _consensus(model, source.slice_uint8(limited.index), limited.box, consensus)
        if on_slice is not None:
            on_slice(limited)
    assert info.loaded is not None
    return Segmentation(
        mask=from_slices_first(found.to_stack(), prompt.axis),
        slices=tuple(found),
        image=image,
        prompt=prompt,
        window=window,
        model=info.loaded,
        timings=info.timings,
        notes=tuple(dict.fromkeys([*image.notes, *([window.note] if window.note else []), *info.notes])),
        consensus=agreement,
    )


def write_segmentation(
    path: str | Path,
    segmentation: Segmentation,
    *,
    name: str = "Segment",
    colour: tuple[float, float, float] = SEGMENT_COLOUR,
) -> None:
    """Write a segmentation on the voxel grid of its image, whole or not at all.

    Parameters
    ----------
    path : str or Path
        The ending chooses the format: ``.seg.nrrd`` is a Slicer segmentation with name and colour; ``.nrrd``,
        ``.nii.gz`` and ``.mha`` are labelmaps that are 1 in the object and 0 elsewhere.
    segmentation : Segmentation
    name : str
        Name of the segment.
    colour : (float, float, float)
        Red, green and blue from 0 to 1.

    Raises
    ------
    InputError
        A parameter is not valid, the ending is unknown, or the file cannot be written. An existing file is then
        unchanged.
    """
    if not isinstance(segmentation, Segmentation):
        raise InputError(f"a {type(segmentation).__name__} cannot be written: give what segment returns")
    if not isinstance(path, str | Path) or not isinstance(name, str):
        raise InputError("path and name must be text")
    provenance = provenance_text(segmentation.model, segmentation.prompt.stack, segmentation.slices_to_review)
    _write_mask(
        path, segmentation.mask, segmentation.image, name, _checked_colour(colour), {PROVENANCE_TAG: provenance}
    )


def _results(model: Model, source: SliceSource, prompt: StackPrompt, info: RunInfo) -> Iterator[SliceResult]:
    """Run the model; what it raises becomes a `MedSAMError`, what the consumer of the results raises does not."""
    with RunLog(model._choice, source, prompt) as log, _user_errors():
        for result in model._service.segment(model._choice, source, prompt, info):
            if result.provisional:
                continue
            log.count()
            yield result
    log.finished(info)


def _checked_colour(colour: Sequence[float]) -> tuple[float, float, float]:
    try:
        red, green, blue = (float(part) for part in colour)
        valid = all(0 <= part <= 1 for part in (red, green, blue))
    except (TypeError, ValueError):
        valid = False
    if not valid:
        raise InputError(f"the colour is {shown(colour)}: give red, green and blue from 0 to 1")
    return red, green, blue


def _check_image(image: object) -> None:
    if not isinstance(image, Image):
        raise InputError(f"the image is a {type(image).__name__}: give what read_image or Image.from_array returns")


def _consensus(model: Model, image: np.ndarray, box: Box, count: int) -> JitterAgreement:
    with _user_errors():
        return model._service.jitter_agreement(model._choice, image, box, count)


@contextmanager
def _user_errors() -> Iterator[None]:
    """Convert exceptions of the engine into `MedSAMError`."""
    try:
        yield
    except Exception as error:
        failure = as_user_error(error)
        raise failure from failure.__cause__
