"""Table of the cases to evaluate."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from ..engine.errors import InputError
from ..engine.stack import array_axis

COLUMNS = ("id", "modality", "image", "label", "value", "axis", "window")
OPTIONAL_COLUMNS = ("patient", "structure")


@dataclass(frozen=True)
class Case:
    """One object in one image, with its truth.

    Attributes:
        id: unique name of the case.
        modality: modality of the image, by which results are grouped.
        image, label: image and truth, on the same voxel grid.
        value: values of the object in the label file: "1", or "1+3" for the union of two.
        axis: axis of propagation: I, J or K; empty for the default of the image.
        window: intensity window, as on the command line.
        patient: patient that the image is of: the column "patient", or the text of the id before its first "_".
        structure: what the object is: the column "structure", or its values in the label file.
    """

    id: str
    modality: str
    image: Path
    label: Path
    value: str
    axis: str
    window: str
    patient: str = ""
    structure: str = ""


def read_cases(path: Path | str) -> list[Case]:
    """Read the cases of a CSV file with the columns `COLUMNS`, and perhaps `OPTIONAL_COLUMNS`.

    Paths in it are relative to its folder.

    Raises:
        InputError: the file or a column is missing, there is no case, an id is not unique, or a file does not exist.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            missing = [column for column in COLUMNS if column not in (table.fieldnames or ())]
            if missing:
                raise InputError(
                    f"{path} has no column {', '.join(missing)}: its first line must be {','.join(COLUMNS)}"
                )
            cases = [_case(path, number, row) for number, row in enumerate(table, start=2)]
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: give a CSV file with the columns {','.join(COLUMNS)}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(
            f"{path} cannot be read ({reason}): give a CSV file with the columns {','.join(COLUMNS)}"
        ) from error
    if not cases:
        raise InputError(f"{path} has no case: add a line for each object")
    for number, case in enumerate(cases):
        if case.id in {other.id for other in cases[:number]}:
            raise InputError(f"{path}: the id {case.id!r} is not unique: give each case its own id")
    return cases


def _case(path: Path, line: int, row: dict[str, str | None]) -> Case:
    texts = {column: (row[column] or "").strip() for column in COLUMNS}
    for column in ("id", "modality", "image", "label", "value"):
        if not texts[column]:
            raise InputError(f"{path}, line {line}: column {column} is empty: fill it in")
    if texts["axis"]:
        array_axis(texts["axis"])
    files = {column: path.parent / texts[column] for column in ("image", "label")}
    for column, file in files.items():
        if not file.exists():
            raise InputError(f"{path}, line {line}: {column} {file} does not exist: correct the path")
    return Case(
        id=texts["id"],
        modality=texts["modality"],
        image=files["image"],
        label=files["label"],
        value=texts["value"],
        axis=texts["axis"],
        window=texts["window"] or "auto",
        patient=(row.get("patient") or "").strip() or texts["id"].partition("_")[0],
        structure=(row.get("structure") or "").strip() or texts["value"],
    )
