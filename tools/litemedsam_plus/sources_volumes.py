"""Readers of the sources of volumes."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK as sitk
from matplotlib.path import Path as Outline

from litemedsam_plus.collect_clone import Clone
from litemedsam_plus.collect_pictures import (
    LABEL,
    Mask,
    Picture,
    Pixels,
    Structure,
    grey,
    largest_pieces,
    like,
    numbered,
    once_more,
)

EPICARDIUM = "label_epi.nii.gz"
PHASES = 20
"""Images of the heart beat, one after the other, of each slice of the left ventricles."""
NODULES = "LIDC-IDRI-slices"
RADIOLOGISTS = 4
LEFT_OUT = frozenset({"0325_n0", "0688_n2", "0698_n1", "0714_n0"})
"""Nodules that were taken out by hand."""
WITHOUT_EPICARDIUM = frozenset({"schfi6_ed"})
"""Left ventricles whose outer contour was taken out by hand: it is missing on two slices that have the inner one."""


def read_left_ventricles(clone: Clone) -> Iterator[Picture]:
    """Left ventricles at the end of diastole and of systole, of the phases that have contours."""
    root_name = "final_data"
    with clone.files(root_name) as root:
        with (root / root_name / "link.csv").open(newline="") as table:
            patients = [(row["patient_id"], row["original_id"]) for row in csv.DictReader(table)]
        for patient, original in patients:
            images = {
                int(path.stem): pydicom.dcmread(path) for path in (root / root_name / "dicoms" / patient).glob("*.dcm")
            }
            contours = root / root_name / "contourfiles" / original
            cavity, ventricle = (contour_masks(contours / f"{kind}-contours", images) for kind in ("i", "o"))
            phases: dict[int, list[int]] = {}
            for number in sorted(cavity):
                phases.setdefault((number - 1) % PHASES, []).append(number)
            area = {phase: np.mean([cavity[number].sum() for number in numbers]) for phase, numbers in phases.items()}
            # The cavity is largest at the end of diastole.
            for phase in sorted(phases, key=lambda phase: -area[phase]):
                diastole = area[phase] == max(area.values())
                where = f"{root_name}/{{dicoms/{patient},contourfiles/{original}}}"
                name = f"{original.lower().replace('-', '')}_{'ed' if diastole else 'es'}"
                yield left_ventricle(name, *stacked(images, phases[phase]), cavity, ventricle, where)


def left_ventricle(
    name: str,
    image: sitk.Image,
    numbers: Sequence[int],
    cavity: dict[int, Mask],
    ventricle: dict[int, Mask],
    where: str,
) -> Picture:
    """The heart in one phase: the cavity and, where it was drawn, the whole ventricle.

    Args:
        name: of the picture; its end is the phase.
        image: the phase's slices.
        numbers: of the images, from the first slice to the last.
        cavity, ventricle: number of the image -> pixels (height, width) inside of the inner and of the outer contour.
        where: the files in the repository.
    """
    labels, structures = {}, []
    for file, suffix, what, masks in (
        (LABEL, "endo", "left-ventricular cavity (endocardium), cine SSFP short axis", cavity),
        (EPICARDIUM, "epi", "left ventricle incl. myocardium (epicardial contour)", ventricle),
    ):
        left_out = masks is ventricle and name in WITHOUT_EPICARDIUM
        if not left_out and any(number in masks for number in numbers):
            empty = np.zeros_like(cavity[numbers[0]])
            labels[file] = like(image, np.stack([masks.get(number, empty) for number in numbers]))
            structures.append(Structure(suffix, f"{what}, {name[-2:].upper()}", 1, file))
    return Picture(name, image, labels, where, structures)


def contour_masks(folder: Path, images: dict[int, Any]) -> dict[int, Mask]:
    """Number of the image -> pixels (height, width) whose centres lie inside of its contour.

    The contours' coordinates are (x, y) in pixels, the first of which has its centre at (1, 1).
    """
    masks = {}
    for path in folder.glob("IM*.txt"):
        found = re.match(r"IM-\d{4}-(\d{4})-", path.name)
        if found:
            rows, columns = np.indices(images[int(found[1])].pixel_array.shape)
            inside = Outline(np.loadtxt(path) - 1).contains_points(np.c_[columns.ravel(), rows.ravel()])
            masks[int(found[1])] = np.asarray(inside).reshape(rows.shape)
    return masks


def stacked(images: dict[int, Any], numbers: Sequence[int]) -> tuple[sitk.Image, list[int]]:
    """Volume of some slices in LPS coordinates, and their numbers from the first slice to the last."""
    x, y = np.array(images[numbers[0]].ImageOrientationPatient, float).reshape(2, 3)
    normal = np.cross(x, y)

    def along_normal(number: int) -> float:
        return float(np.array(images[number].ImagePositionPatient, float) @ normal)

    numbers = sorted(numbers, key=along_normal)
    slices = [images[number] for number in numbers]
    image = sitk.GetImageFromArray(np.stack([slice_.pixel_array for slice_ in slices]).astype(np.int16))
    row_distance, column_distance = map(float, slices[0].PixelSpacing)
    thickness = float(np.median(np.diff([along_normal(number) for number in numbers])))
    image.SetSpacing((column_distance, row_distance, thickness))
    image.SetOrigin([float(value) for value in slices[0].ImagePositionPatient])
    image.SetDirection(np.stack([x, y, normal], axis=1).ravel().tolist())
    return image, numbers


def read_sclerosis_lesions(clone: Clone) -> Iterator[Picture]:
    """FLAIR images, and in each slice up to four lesions of at least 30 pixels, value 1 for the largest."""
    for patient in ("19", "26"):
        folder = f"cross_sectional/MNI/patient{patient}"
        with clone.files(folder) as root:
            flair = sitk.ReadImage(
                str(root / folder / "FLAIR_N4_noneck_reduced_winsor_regtoFLAIR_brain_N4_regtoMNI.nii.gz")
            )
            truth = sitk.ReadImage(
                str(root / folder / "GOLD_STANDARD_N4_noneck_reduced_winsor_regtoFLAIR_regtoMNI.nii.gz")
            )
        # As the repository has it, some values are negative.
        positive = sitk.Clamp(flair, flair.GetPixelID(), 0, 1e9)
        image = sitk.Cast(sitk.RescaleIntensity(positive, 0, 2000), sitk.sitkInt16)
        labels = np.stack(
            [
                numbered(largest_pieces(mask, 4, 30, corners=True), mask.shape)
                for mask in sitk.GetArrayFromImage(truth) > 0
            ]
        )
        structures = [Structure(f"l{value}", "", value) for value in range(1, int(labels.max()) + 1)]
        yield Picture(f"{patient}_flair", image, {LABEL: like(image, labels)}, folder, structures)


def read_spinal_cords(clone: Clone) -> Iterator[Picture]:
    """One volunteer's cord with three contrasts."""
    subject = "sub-unf01"
    truths = f"derivatives/labels/{subject}"
    with clone.files(f"{subject}/anat", f"{truths}/anat") as root:
        for contrast in ("T1w", "T2w", "T2star"):
            image = sitk.ReadImage(str(root / subject / "anat" / f"{subject}_{contrast}.nii.gz"))
            truth = sitk.ReadImage(str(root / truths / "anat" / f"{subject}_{contrast}_seg-manual.nii.gz"))
            labels = {LABEL: like(image, sitk.GetArrayFromImage(truth) > 0.5)}
            structure = Structure(target=f"cervical spinal cord, {contrast}, 1 mm, axial")
            yield Picture(f"unf01_{contrast.lower()}", image, labels, f"{subject}, {truths}", [structure])


def read_lung_nodules(clone: Clone) -> Iterator[Picture]:
    """The largest nodule of each patient: pixels that at least two of four radiologists marked.

    Slices with fewer than 40 such pixels are left out, and nodules with fewer than three slices or nowhere 120 pixels.
    """
    patients = once_more(clone.names(NODULES), 130, 330)
    with clone.files(*patients) as root:
        for patient in patients:
            found = [nodule_slices(folder) for folder in sorted((root / patient).glob("nodule-*"))]
            large = [nodule for nodule in found if largest_area(nodule[1]) >= 120]
            if not large:
                continue
            # Of two of one size the first.
            pixels, masks, folder = max(large, key=lambda nodule: largest_area(nodule[1]))
            name = f"{patient.split('-')[-1]}_n{folder.name.split('-')[-1]}"
            if name in LEFT_OUT:
                continue
            image = sitk.GetImageFromArray(pixels)
            structure = Structure(
                target=f"lung nodule, 128x128 crop round the nodule, {len(pixels)} axial slices, already windowed to 8 "
                "bits (so window auto, not lung)"
            )
            yield Picture(name, image, {LABEL: like(image, masks)}, f"{patient}/{folder.name}", [structure])


def largest_area(masks: Mask) -> int:
    """Pixels of the largest of some masks (slices, height, width)."""
    return int(masks.sum((1, 2)).max(initial=0))


def nodule_slices(folder: Path) -> tuple[Pixels, Mask, Path]:
    """Slices (slices, 128, 128) of a nodule that are used, of grey values and of the truth; none if under three."""
    slices = []
    for path in sorted((folder / "images").glob("*.png"), key=lambda path: int(path.stem.split("-")[-1])):
        opinions = [folder / f"mask-{reader}" / path.name for reader in range(RADIOLOGISTS)]
        marked = [grey(opinion) > 127 for opinion in opinions if opinion.exists()]
        pixels = grey(path)
        mask = np.sum(marked, axis=0) >= 2 if marked else np.zeros(pixels.shape, bool)
        if mask.sum() >= 40:
            slices.append((pixels, mask))
    if len(slices) < 3:
        return np.zeros((0, 1, 1), np.uint8), np.zeros((0, 1, 1), bool), folder
    return np.stack([pixels for pixels, _ in slices]), np.stack([mask for _, mask in slices]), folder
