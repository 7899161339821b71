#!/usr/bin/env python3
"""Gathers the public data that LiteMedSAM+ learned from, beside its sarcomas, out of clones of git repositories.

python tools/litemedsam_plus/collect.py CLONES OUTPUT

CLONES has one clone for each source, named OWNER+NAME or NAME; for each that is missing, the message has the command that
makes it. Nothing is downloaded. OUTPUT gets one folder for each image, and three tables: train.csv and held.csv, as
`medsam-slicer adapt` and `medsam-slicer evaluate` read them, of what was trained on and of what was held back, and
sources.csv with licences and attributions. docs/litemedsam_plus_data.md describes the data.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import SimpleITK as sitk

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "MedSAMSlicer"), str(ROOT / "tools")]

from litemedsam_plus.collect_clone import Clone, find_clone  # noqa: E402
from litemedsam_plus.sources_table import SOURCES, Source  # noqa: E402
from MedSAMSlicerLib.engine.atomic_files import replace_atomically  # noqa: E402
from MedSAMSlicerLib.engine.errors import MedSAMError, one_line  # noqa: E402
from MedSAMSlicerLib.evaluation.cases import COLUMNS  # noqa: E402

SOURCE_COLUMNS = ("id", "target", "truth", "licence", "attribution", "source")
IMAGE = "image.nii.gz"
Row = dict[str, object]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clones", type=Path, metavar="CLONES", help="folder of the clones")
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="folder of the images and tables")
    options = parser.parse_args(arguments)
    try:
        collect(options.clones, options.output, SOURCES)
    except MedSAMError as error:
        print(f"collect: {error}", file=sys.stderr)
        return error.exit_status
    # SimpleITK raises RuntimeError where a file cannot be written.
    except (OSError, RuntimeError) as error:
        print(f"collect: {options.output} cannot be written: {one_line(str(error), 200)}", file=sys.stderr)
        return 1
    return 0


def collect(clones: Path, output: Path, sources: Sequence[Source]) -> None:
    """Write the images and the tables of the sources.

    Args:
        clones: folder of the clones; see `find_clone`.
        output: folder, made if there is none; files of the same names are replaced.
        sources: in the order of the tables.

    Raises:
        MedSAMError: clones or commits are missing, before anything is written; or a clone lacks files.
    """
    found = find_clones(clones, sources)
    train: list[Row] = []
    held: list[Row] = []
    origins: list[Row] = []
    for source, clone in zip(sources, found, strict=True):
        counts = [len(train), len(held)]
        for index, picture in enumerate(source.read(clone)):
            name = f"{source.prefix}_{picture.name}"
            folder = output / name
            folder.mkdir(parents=True, exist_ok=True)
            sitk.WriteImage(picture.image, str(folder / IMAGE), True)
            for label, labels in picture.labels.items():
                sitk.WriteImage(labels, str(folder / label), True)
            for structure in picture.structures:
                row: Row = {
                    "id": f"{name}_{structure.suffix}" if structure.suffix else name,
                    "modality": source.modality,
                    "image": f"{name}/{IMAGE}",
                    "label": f"{name}/{structure.label}",
                    "value": structure.value,
                    "axis": "K",
                    "window": "auto",
                }
                (held if source.holds_back(index, picture.name) else train).append(row)
                origins.append(
                    {
                        "id": row["id"],
                        "target": structure.target or source.target,
                        "truth": source.truth,
                        "licence": source.licence,
                        "attribution": source.attribution,
                        "source": f"github.com/{source.repository}@{source.commit[:12]}:{picture.where}",
                    }
                )
        print(f"{source.prefix}: {len(train) - counts[0]} objects to train on, {len(held) - counts[1]} held back")
    write_table(output / "train.csv", COLUMNS, train)
    write_table(output / "held.csv", COLUMNS, held)
    write_table(output / "sources.csv", SOURCE_COLUMNS, origins)


def find_clones(folder: Path, sources: Sequence[Source]) -> list[Clone]:
    """The clone of each source; see `find_clone`. One message says all that is missing."""
    clones, missing = [], []
    for source in sources:
        try:
            clones.append(find_clone(folder, source.repository, source.commit))
        except MedSAMError as error:
            missing.append(str(error))
    if missing:
        raise MedSAMError("\n".join(missing))
    return clones


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> None:
    with replace_atomically(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


if __name__ == "__main__":
    sys.exit(main())
