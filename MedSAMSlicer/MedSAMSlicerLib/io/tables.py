"""Tables as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from .output_files import write_atomically


def csv_text(columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> str:
    """A table as CSV: the names of the columns, then one line for each row. Columns that a row lacks are empty."""
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


def write_table(path: Path | str, columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> None:
    """Write a CSV file, whole or not at all.

    Raises:
        InputError: the file cannot be written.
    """
    text = csv_text(columns, rows)
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
