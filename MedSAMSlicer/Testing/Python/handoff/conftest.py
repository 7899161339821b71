"""What the tests of hand-off share: series made on the spot, DICOM's own checker, and the form of every refusal."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.handoff.source_series import SourceSeries, read_source_series
from support.patient_series import write_patient_series

SHAPE = (11, 40, 44)


@pytest.fixture
def source(tmp_path: Path) -> Callable[..., SourceSeries]:
    """Writes a series of noise, in the orientation and with the options of `write_patient_series`, and reads its headers."""

    def make(orientation: str = "axial", shape: tuple[int, int, int] = SHAPE, **options: object) -> SourceSeries:
        voxels = np.random.default_rng(3).integers(-100, 200, shape)
        folder = tmp_path / orientation
        write_patient_series(folder, voxels, orientation=orientation, **options)  # type: ignore[arg-type]
        return read_source_series(folder)

    return make


@pytest.fixture
def standard_errors() -> Callable[[Path], list[str]]:
    """Errors that dciodvfy finds in a file; the test is skipped where it is not installed."""
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("dciodvfy is not installed (Debian: apt-get install dicom3tools)")

    def errors(path: Path) -> list[str]:
        found = subprocess.run([program, str(path)], capture_output=True, text=True)
        lines = (found.stdout + found.stderr).splitlines()
        assert any(not line.startswith(("Error", "Warning")) for line in lines), "the file was not recognised"
        return [line for line in lines if line.startswith("Error")]

    return errors


@pytest.fixture
def refused(tmp_path: Path) -> Callable[..., AbstractContextManager[None]]:
    """Expects an InputError of one line that mentions all texts; nothing is written."""

    @contextmanager
    def expect(*mentions: object) -> Iterator[None]:
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
        with pytest.raises(InputError) as caught:
            yield
        message = str(caught.value)
        assert "\n" not in message
        for mention in mentions:
            assert str(mention) in message
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before

    return expect
