#!/usr/bin/env python3
"""RT structure sets read by other people's programs, beside those of rt-utils from the same masks.

Writes every object on series of several orientations, reads the files back with each reader that is installed, and compares
voxels (DSC) and areas of contours. Counts the errors that dciodvfy finds, and measures time and memory for 100 slices and
10 segments. Writes benchmarks/results/handoff.csv and handoff.json, and the tables of
docs/handoff.md.

Readers and the other writer are no part of the project's environment: pip install rt-utils dcmrtstruct2nii
'pydicom<3' contourpy matplotlib into one of its own and run this with it; plastimatch and dicom3tools come from Debian. What is missing is left out and named.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK as sitk

ROOT = Path(__file__).resolve().parents[1]
MODULE = ROOT / "MedSAMSlicer"
RESULTS = ROOT / "benchmarks" / "results"
sys.path[:0] = [str(MODULE), str(MODULE / "Testing" / "Python")]
from MedSAMSlicerLib.engine.masks import dice  # noqa: E402
from MedSAMSlicerLib.handoff.grid import Grid  # noqa: E402
from MedSAMSlicerLib.handoff.rtstruct import write_rtstruct  # noqa: E402
from MedSAMSlicerLib.handoff.rtstruct_reader import read_rtstruct  # noqa: E402
from MedSAMSlicerLib.handoff.segments import Segment  # noqa: E402
from MedSAMSlicerLib.handoff.source_series import SourceSeries, read_source_series  # noqa: E402
from MedSAMSlicerLib.io.tables import write_table  # noqa: E402
from support.contour_area import area  # noqa: E402
from support.patient_series import ball, objects, write_patient_series  # noqa: E402

SERIES = ("axial", "sagittal", "oblique", "negated columns", "negated rows and columns")
COLUMNS = ["writer", "series", "object", "reader", "dsc", "area_error_pct", "problem"]
# rt-utils reads square slices only.
SHAPE = (11, 44, 44)
SIZE, SLICES, SEGMENTS = 512, 100, 10
# Linux counts in KiB, macOS in bytes.
_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024


def write_ours(path: Path, series: SourceSeries, name: str, mask: np.ndarray) -> None:
    write_rtstruct(path, series, [Segment(name, mask, "GTV")])


def write_rt_utils(path: Path, series: SourceSeries, name: str, mask: np.ndarray) -> None:
    from rt_utils import RTStructBuilder

    builder = RTStructBuilder.create_new(dicom_series_path=str(series.folder))
    builder.add_roi(mask=in_order_of(builder.series_data, series, mask), name=name)
    builder.save(str(path.with_suffix("")))


def in_order_of(headers: list[pydicom.Dataset], series: SourceSeries, mask: np.ndarray) -> np.ndarray:
    """The mask as (rows, columns, slices) in another order of the slices."""
    index = {str(header.SOPInstanceUID): k for k, header in enumerate(series.slices)}
    return np.stack([mask[index[str(header.SOPInstanceUID)]] for header in headers], axis=-1)


def read_ours(path: Path, series: SourceSeries, name: str) -> np.ndarray:
    return read_rtstruct(path, series)[0].mask


def read_rt_utils(path: Path, series: SourceSeries, name: str) -> np.ndarray:
    from rt_utils import RTStructBuilder

    found = RTStructBuilder.create_from(dicom_series_path=str(series.folder), rt_struct_path=str(path))
    voxels = found.get_roi_mask_by_name(name)
    index = {str(header.SOPInstanceUID): k for k, header in enumerate(series.slices)}
    mask = np.zeros(series.grid.shape, bool)
    for n, header in enumerate(found.series_data):
        mask[index[str(header.SOPInstanceUID)]] = voxels[..., n]
    return mask


def read_dcmrtstruct2nii(path: Path, series: SourceSeries, name: str) -> np.ndarray:
    from dcmrtstruct2nii import dcmrtstruct2nii

    with tempfile.TemporaryDirectory() as folder:
        dcmrtstruct2nii(str(path), str(series.folder), folder, gzip=False, convert_original_dicom=False)
        [file] = Path(folder).glob("mask_*")
        return on_series(sitk.ReadImage(str(file)), series.grid)


def read_plastimatch(path: Path, series: SourceSeries, name: str) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        command = ["plastimatch", "convert", "--input", str(path), "--referenced-ct", str(series.folder)]
        command += ["--output-prefix", folder, "--prefix-format", "nrrd"]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        [file] = Path(folder).glob("*.nrrd")
        return on_series(sitk.ReadImage(str(file)), series.grid)


def on_series(image: sitk.Image, grid: Grid) -> np.ndarray:
    """The reader's image, sampled at the centres of the series' voxels."""
    reference = sitk.Image(*grid.shape[::-1], sitk.sitkUInt8)
    matrix = grid.ijk_to_lps
    spacing = grid.spacing_kji[::-1]
    reference.SetSpacing(spacing)
    reference.SetOrigin(matrix[:3, 3].tolist())
    reference.SetDirection((matrix[:3, :3] / spacing).ravel().tolist())
    found = sitk.Resample(image, reference, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    return sitk.GetArrayFromImage(found) > 0


WRITERS: dict[str, Callable[..., None]] = {"MedSAMSlicer": write_ours, "rt-utils": write_rt_utils}
READERS: dict[str, Callable[..., np.ndarray]] = {
    "MedSAMSlicer": read_ours,
    "rt-utils": read_rt_utils,
    "dcmrtstruct2nii": read_dcmrtstruct2nii,
    "plastimatch": read_plastimatch,
}


def version_of(name: str) -> str | None:
    """Version of a reader or writer; None if it is not installed."""
    if name == "MedSAMSlicer":
        return "this"
    if name in ("plastimatch", "dciodvfy"):
        return "installed" if shutil.which(name) else None
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def measure_objects(readers: list[str], writers: list[str], folder: Path) -> list[dict[str, str]]:
    rows = []
    for orientation in SERIES:
        masks = objects(SHAPE)
        shape = SHAPE
        voxels = np.random.default_rng(0).integers(-100, 100, shape)
        written = write_patient_series(folder / orientation.replace(" ", "_"), voxels, orientation=orientation)
        series = read_source_series(written.folder)
        for name, mask in masks.items():
            for writer in writers:
                path = folder / "written.dcm"
                row = {"writer": writer, "series": orientation, "object": name}
                try:
                    WRITERS[writer](path, series, "GTV", mask)
                    error = f"{sum_of_areas(path, series, mask):.2f}"
                except Exception as problem:  # another program's: whatever it raises is a result
                    rows.append({**row, "problem": f"not written: {type(problem).__name__}"})
                    continue
                for reader in readers:
                    entry = {**row, "reader": reader, "area_error_pct": error}
                    try:
                        entry["dsc"] = f"{dice(READERS[reader](path, series, 'GTV').astype(bool), mask):.4f}"
                    except Exception as problem:
                        entry["problem"] = f"not read: {type(problem).__name__}"
                    rows.append(entry)
    return rows


def sum_of_areas(path: Path, series: SourceSeries, mask: np.ndarray) -> float:
    """Error of the area of all contours in percent of the voxels'. Contours that lie within another one are holes."""
    from matplotlib.path import Path as Polygon

    by_slice: dict[str, list[np.ndarray]] = {}
    planes = {str(header.SOPInstanceUID): plane for header, plane in zip(series.slices, series.planes, strict=True)}
    for contour in pydicom.dcmread(path).ROIContourSequence[0].ContourSequence:
        uid = str(contour.ContourImageSequence[0].ReferencedSOPInstanceUID)
        to_pixels = np.linalg.inv(planes[uid])
        points = np.array(contour.ContourData, float).reshape(-1, 3)
        by_slice.setdefault(uid, []).append((points @ to_pixels[:3, :3].T + to_pixels[:3, 3])[:, :2])
    total = 0.0
    for rings in by_slice.values():
        for ring in rings:
            around = sum(Polygon(other).contains_point(ring[0]) for other in rings if other is not ring)
            total += area(ring) * (-1) ** around
    return 100 * (total / np.count_nonzero(mask) - 1)


def standard_errors(path: Path) -> list[str]:
    found = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True)
    return [line for line in (found.stdout + found.stderr).splitlines() if line.startswith("Error")]


def kinds(errors: list[str]) -> int:
    """Number of different errors: one for all numbers of an attribute that are too long."""
    return len({re.sub(r"<(?![A-Z][A-Za-z]+>).*", "", re.sub(r"DS \[\d+\] = .*", "", error)) for error in errors})


def measure_large(folder: Path) -> dict[str, Any]:
    """Seconds and memory to write 10 segments on 100 slices, in a process of its own."""
    write_patient_series(folder / "large", np.zeros((SLICES, SIZE, SIZE), np.int16))
    command = [sys.executable, __file__, "--large", str(folder / "large")]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def write_large(folder: Path) -> None:
    begin = time.perf_counter()
    series = read_source_series(folder)
    read = time.perf_counter() - begin
    masks = [ball(series.grid.shape, (50, 100 + 30 * n, 120 + 25 * n), 60 + 9 * n, step=1) for n in range(SEGMENTS)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_BYTES
    begin = time.perf_counter()
    path = folder.parent / "large.dcm"
    write_rtstruct(path, series, [Segment(f"S{n}", mask) for n, mask in enumerate(masks)])
    seconds = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_BYTES
    print(
        json.dumps(
            {
                "slices": SLICES,
                "segments": SEGMENTS,
                "seconds_to_read_headers": round(read, 2),
                "seconds_to_write": round(seconds, 2),
                "file_mb": round(path.stat().st_size / 1e6, 1),
                "peak_mb_of_masks_and_before": round(before / 1e6),
                "peak_mb": round(after / 1e6),
            }
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.large:
        write_large(Path(options.large))
        return
    readers = [name for name in READERS if version_of(name)]
    writers = [name for name in WRITERS if version_of(name)]
    missing = sorted(
        {*READERS, *WRITERS, "dciodvfy"} - {name for name in (*READERS, *WRITERS, "dciodvfy") if version_of(name)}
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        rows = measure_objects(readers, writers, folder)
        report: dict[str, Any] = {
            "versions": {name: version_of(name) for name in (*readers, *writers)},
            "missing": missing,
            "large": measure_large(folder),
        }
        if version_of("dciodvfy"):
            series = read_source_series(folder / "axial")
            report["dciodvfy_errors"] = {}
            for writer in writers:
                path = folder / "checked.dcm"
                WRITERS[writer](path, series, "GTV", objects(SHAPE)["ring with an island"])
                report["dciodvfy_errors"][writer] = standard_errors(path)
    RESULTS.mkdir(exist_ok=True)
    write_table(RESULTS / "handoff.csv", COLUMNS, rows)
    (RESULTS / "handoff.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    write_page(rows, report)
    print(table(rows, "object"))


def table(rows: list[dict[str, str]], by: str) -> str:
    """Markdown: the lowest DSC of each reader by "object" over all series, or by "series" over all objects."""
    readers = list(dict.fromkeys(row["reader"] for row in rows if "reader" in row))
    lines = [f"| writer | {by} | area of contours | {' | '.join(f'read by {reader}' for reader in readers)} |"]
    lines.append("|---|---|---|" + "---|" * len(readers))
    groups: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in rows:
        groups.setdefault((row[by], row["writer"]), []).append(row)
    for (name, writer), group in groups.items():
        errors = [float(row["area_error_pct"]) for row in group if "area_error_pct" in row]
        largest = f"{max(errors, key=abs):+.1f} %" if errors else "not written"
        cells = []
        for reader in readers:
            scores = [row.get("dsc") for row in group if row.get("reader") == reader]
            cells.append("fails" if not scores or None in scores else f"{min(map(float, filter(None, scores))):.3f}")
        lines.append(f"| {writer} | {name} | {largest} | {' | '.join(cells)} |")
    return "\n".join(lines)


def write_page(rows: list[dict[str, str]], report: dict[str, Any]) -> None:
    """Put the tables into the page, between its markers."""
    page = ROOT / "docs" / "handoff.md"
    before, begin, rest = page.read_text(encoding="utf-8").partition("<!-- measured -->\n")
    _old, end, after = rest.partition("<!-- end of measured -->\n")
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items() if version != "this")
    large = report["large"]
    errors = report.get("dciodvfy_errors", {})
    counts = (
        "; ".join(f"{writer} {len(found)} ({kinds(found)} kinds)" for writer, found in errors.items()) or "not checked"
    )
    text = f"""Lowest Dice coefficient between the masks written and read, over {len(SERIES)} orientations, and largest error of the area of the
contours ({versions}):

{table(rows, "object")}

The same by orientation, over all objects:

{table(rows, "series")}

Errors that dciodvfy finds in the file of the ring: {counts}. {large["segments"]} segments on {large["slices"]} slices of {SIZE} x {SIZE} pixels take
{large["seconds_to_write"]} s to write ({large["file_mb"]} MB), after {large["seconds_to_read_headers"]} s for the headers; peak memory {large["peak_mb"]} MB, of which
{large["peak_mb_of_masks_and_before"]} MB before writing, mostly the masks.
"""
    page.write_text(before + begin + text + end + after, encoding="utf-8")


if __name__ == "__main__":
    main()
