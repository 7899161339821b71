"""Measurements of objects whose size is known, response by RECIST 1.1, and uptake values of PET."""

from __future__ import annotations

from typing import Any

import numpy as np
import pydicom
import pytest
from scipy.spatial.transform import Rotation

from MedSAMSlicerLib.handoff.compare import compare
from MedSAMSlicerLib.handoff.grid import Grid
from MedSAMSlicerLib.handoff.measure import measure
from MedSAMSlicerLib.handoff.read_segments import SegmentSet
from MedSAMSlicerLib.handoff.recist import response
from MedSAMSlicerLib.handoff.segments import Segment
from MedSAMSlicerLib.handoff.suv import suv_factor

TILT = Rotation.from_euler("xyz", (25, -15, 50), degrees=True).as_matrix()
SPACING = (0.8, 0.8, 2.5)


def ellipsoid(half_axes: tuple[float, float, float], turned: float = 0.0, shape: Any = (25, 90, 90)) -> np.ndarray:
    """Voxels of an ellipsoid of half axes along i, j, k in mm, turned about k by degrees."""
    k, j, i = (np.indices(shape).T - (np.array(shape) - 1) / 2).T
    x, y, z = 0.8 * i, 0.8 * j, 2.5 * k
    c, s = np.cos(np.radians(turned)), np.sin(np.radians(turned))
    a, b, h = half_axes
    return np.asarray(((c * x + s * y) / a) ** 2 + ((c * y - s * x) / b) ** 2 + (z / h) ** 2 <= 1)


def grid_of(mask: np.ndarray, direction: np.ndarray | None = None) -> Grid:
    return Grid.of(mask.shape, SPACING, (3, 4, 5), np.eye(3) if direction is None else direction)


@pytest.mark.parametrize("direction", [np.eye(3), TILT], ids=["axial", "oblique"])
@pytest.mark.parametrize("turned", [0, 30, 77])
def test_diameters_of_an_ellipsoid_are_right_to_a_pixel(direction: np.ndarray, turned: float) -> None:
    mask = ellipsoid((22, 12, 25), turned)
    found = measure("Lesion", mask, grid_of(mask, direction))
    assert found.longest_mm == pytest.approx(44, abs=0.8)
    assert found.perpendicular_mm == pytest.approx(24, abs=0.8)
    assert found.slice in (11, 12, 13) and found.axis == "K" and found.parts == 1 and found.notes == ()


def test_volume_and_surface() -> None:
    mask = ellipsoid((20, 20, 20))
    found = measure("Ball", mask, grid_of(mask))
    assert found.volume_ml == pytest.approx(mask.sum() * 0.8 * 0.8 * 2.5 / 1000)
    assert found.volume_ml == pytest.approx(4 / 3 * np.pi * 8, rel=0.02)
    assert found.surface_mm2 == pytest.approx(4 * np.pi * 400, rel=0.04)


def test_objects_apart_are_counted_and_not_joined_by_a_diameter() -> None:
    mask = np.zeros((9, 60, 60), bool)
    mask[4, 5:15, 5:15] = mask[4, 40:60, 40:50] = mask[7, 0:3, 0:3] = True
    found = measure("Lesions", mask, grid_of(mask))
    assert found.parts == 3
    assert found.longest_mm == pytest.approx(np.hypot(20, 10) * 0.8, abs=0.8)


def test_diameters_are_not_measured_across_thin_slices() -> None:
    mask = ellipsoid((10, 10, 25))  # thinner slices make it 5 mm high
    grid = Grid.of(mask.shape, (0.8, 0.8, 0.5), (0, 0, 0), np.eye(3))
    found, stated = measure("Lesion", mask, grid), measure("Lesion", mask, grid, axis="K")
    assert found.axis == "K" and found.longest_mm == pytest.approx(20, abs=0.8)
    assert "along K" in found.notes[0] and stated.notes == ()


def test_the_axis_of_the_slices_can_be_stated() -> None:
    mask = ellipsoid((22, 12, 25)).transpose(2, 0, 1)  # slices along j
    grid = Grid.of(mask.shape, (0.8, 2.5, 0.8), (0, 0, 0), np.eye(3))
    found = measure("Lesion", mask, grid, axis="J")
    assert found.axis == "J" and found.slice in (11, 12, 13)
    assert found.longest_mm == pytest.approx(44, abs=0.8)


def test_values_of_the_image() -> None:
    mask = ellipsoid((10, 10, 10))
    voxels = np.random.default_rng(0).integers(-50, 90, mask.shape).astype(np.int16)
    inside = voxels[mask].astype(float)
    values = measure("Lesion", mask, grid_of(mask), voxels, "SUV", factor=0.5).values
    assert values is not None and values.unit == "SUV"
    assert values.mean == pytest.approx(inside.mean() / 2) and values.sd == pytest.approx(inside.std() / 2)
    assert (values.minimum, values.maximum) == (inside.min() / 2, inside.max() / 2)
    assert values.percentiles[95] == pytest.approx(np.percentile(inside, 95) / 2)


def test_voxels_that_are_no_numbers_are_left_out_and_counted() -> None:
    mask = ellipsoid((10, 10, 10))
    voxels = np.full(mask.shape, 7.0, np.float32)
    voxels[12, 44, 44:47] = np.nan
    found = measure("Lesion", mask, grid_of(mask), voxels)
    assert found.values is not None and found.values.mean == found.values.maximum == 7
    assert found.notes == ("3 voxels are no numbers and were left out",)


def test_small_lesions_and_thick_slices_are_noted() -> None:
    small = ellipsoid((4, 4, 10))
    assert "below 10 mm" in measure("Lesion", small, grid_of(small)).notes[0]
    larger = ellipsoid((7, 7, 20))
    thick = Grid.of(larger.shape, (0.8, 0.8, 8.0), (0, 0, 0), np.eye(3))
    assert "below 16 mm, twice" in measure("Lesion", larger, thick).notes[0]
    node = measure("GTVn_2", larger, grid_of(larger))
    assert "short axis" in node.notes[0] and node.recist_mm == node.perpendicular_mm


def test_an_empty_segment_is_refused(refused: Any) -> None:
    mask = np.zeros((3, 4, 5), bool)
    with refused("Lesion", "empty"):
        measure("Lesion", mask, grid_of(mask))


def test_two_segmentations_are_compared_by_name() -> None:
    mask, larger = ellipsoid((12, 12, 12)), ellipsoid((15, 15, 15))
    grid = grid_of(mask)
    first = SegmentSet((Segment("A", mask), Segment("Gone", mask)), grid)
    second = SegmentSet((Segment("A", larger), Segment("New", mask)), grid_of(mask))
    found = compare(first, second)
    one, gone, new = found.segments
    assert one.dsc == pytest.approx(2 * mask.sum() / (mask.sum() + larger.sum()))
    assert one.hd95_mm == pytest.approx(3, abs=1.3)
    assert one.volume_change_pct == pytest.approx(100 * (larger.sum() / mask.sum() - 1))
    assert one.diameter_change_pct == pytest.approx(25, abs=4)
    assert gone.volume_change_pct == -100 and gone.dsc is None and not gone.gone
    assert new.name == "New" and np.isnan(new.volume_change_pct)
    assert found.response is None and found.notes == ()


def test_the_response_is_that_of_all_targets() -> None:
    mask, larger = ellipsoid((12, 12, 12)), ellipsoid((15, 15, 15))
    first = SegmentSet((Segment("A", larger), Segment("B", mask)), grid_of(mask))
    second = SegmentSet((Segment("A", mask),), grid_of(mask, TILT), empty=("B",))
    found = compare(first, second, recist=True, nadir_mm=18)
    assert found.response is not None and found.response.reference_mm == 18
    assert found.response.sum_mm == pytest.approx(24, abs=0.8) and found.response.category == "PD"
    assert [one.gone for one in found.segments] == [False, True] and found.segments[0].dsc is None
    assert "at an angle" in found.notes[0]


def test_what_cannot_be_compared_is_refused(refused: Any) -> None:
    mask = ellipsoid((12, 12, 12))
    one = SegmentSet((Segment("A", mask), Segment("B", mask)), grid_of(mask))
    other = SegmentSet((Segment("C", mask),), grid_of(mask), left_out=("B",))
    nothing = SegmentSet((), grid_of(mask))
    for first, second, options, mention in (
        (one, other, {}, "no segment of the same name"),
        (one, other, {"recist": True, "names": ["B"]}, "nobody knows whether it is gone"),
        (one, other, {"names": ["D"]}, "no segment D"),
        (one, one, {"nadir_mm": 5.0}, "belongs to --recist"),
        (one, one, {"nadir_mm": -5.0, "recist": True}, "in mm"),
        (nothing, one, {"recist": True}, "has no segment"),
        (SegmentSet((Segment("A", mask),) * 2, grid_of(mask)), one, {}, "several segments A"),
    ):
        with refused(mention):
            compare(first, second, **options)


@pytest.mark.parametrize(
    ("baseline", "now", "nadir", "category"),
    [
        ({"A": 40, "B": 20}, {"A": 30, "B": 12}, None, "PR"),  # 30 % less
        ({"A": 40, "B": 20}, {"A": 30, "B": 13}, None, "SD"),
        ({"A": 40, "B": 20}, {"A": 50, "B": 22}, None, "PD"),  # 20 % more
        ({"A": 20}, {"A": 24.5}, None, "SD"),  # more than 20 %, but less than 5 mm
        ({"A": 60}, {"A": 40}, 30, "PD"),  # from the smallest sum
        ({"A": 60}, {"A": 34}, 30, "PR"),
        ({"A": 40, "B": 20}, {}, None, "CR"),
        ({"A": 40, "GTVn": 18}, {"GTVn": 9}, None, "CR"),  # a node of normal size
        ({"A": 40, "GTVn": 18}, {"GTVn": 11}, None, "PR"),
        ({"A": 40}, {"A": 10, "B": 12}, None, "PD"),  # a new lesion
    ],
)
def test_response_by_recist(baseline: dict, now: dict, nadir: float | None, category: str) -> None:
    found = response(baseline, now, nadir)
    assert found.category == category
    assert found.baseline_mm == sum(baseline.values())


def test_a_response_says_what_it_takes_for_granted() -> None:
    notes = " ".join(response({"A": 40, "B": 20}, {"A": 10, "C": 12}).notes)
    assert "new lesions: C" in notes and "disappeared: B" in notes
    assert "at most 5" in " ".join(response(dict.fromkeys("ABCDEF", 20.0), dict.fromkeys("ABCDEF", 20.0)).notes)


def pet(**values: Any) -> pydicom.Dataset:
    """Header of a slice of 70 kg and 370 MBq fluorine-18, scanned one half-life after the injection."""
    drug = pydicom.Dataset()
    drug.RadionuclideTotalDose, drug.RadionuclideHalfLife = 370e6, 6600
    drug.RadiopharmaceuticalStartTime = "081000"
    ds = pydicom.Dataset()
    ds.Units, ds.CorrectedImage, ds.DecayCorrection, ds.PatientWeight = "BQML", ["ATTN", "DECY"], "START", 70
    ds.SeriesDate = ds.AcquisitionDate = "20260102"
    ds.SeriesTime = ds.AcquisitionTime = "100000"
    ds.RadiopharmaceuticalInformationSequence = [drug]
    for keyword, value in values.items():
        setattr(drug if keyword.startswith("Radio") and keyword in drug else ds, keyword, value)
    return ds


def test_uptake_values_where_the_header_tells() -> None:
    assert suv_factor(pet()) == pytest.approx(70e3 / 185e6)
    assert suv_factor(pet(DecayCorrection="ADMIN")) == pytest.approx(70e3 / 370e6)
    assert suv_factor(pet(RadiopharmaceuticalStartTime="231000", SeriesTime="010000", AcquisitionTime="010000.0")) == (
        pytest.approx(70e3 / 185e6)
    )  # injected before midnight
    assert suv_factor(pet(Units="GML")) == 1


@pytest.mark.parametrize(
    "values",
    [
        {"PatientWeight": None},
        {"Units": "CNTS"},
        {"CorrectedImage": ["ATTN"]},
        {"DecayCorrection": "NONE"},
        {"RadionuclideTotalDose": None},
        {"SeriesTime": "110000"},  # changed by later processing
        {"RadiopharmaceuticalInformationSequence": []},
    ],
)
def test_uptake_values_are_not_guessed(values: dict[str, Any]) -> None:
    assert suv_factor(pet(**values)) is None
