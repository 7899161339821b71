"""The command line needs no Slicer, not even for an ROI that Slicer saved."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from MedSAMSlicerLib.engine.environment import child_environment

# None in sys.modules makes every import of that name fail.
RUN = """
import sys

sys.modules.update(dict.fromkeys(("slicer", "vtk", "vtkmodules")))
from MedSAMSlicerLib.cli.main import main

sys.exit(main(sys.argv[1:]))
"""


def test_a_rotated_roi_is_segmented_where_slicer_is_not_installed(
    image_file: Path, roi_file: Callable[..., Path], tmp_path: Path, litemedsam_weights: Path
) -> None:
    axes = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
    roi = roi_file([5.0, 71.5, 19.0], [36.0, 45.0, 4.0], axes)
    arguments = ["segment", image_file, "--output", tmp_path / "out.nrrd", "--roi", roi, "--window", "350,400"]
    arguments += ["--runtime", "torch"]  # loads faster than OpenVINO
    finished = subprocess.run(
        [sys.executable, "-c", RUN, *map(str, arguments)], env=child_environment(), capture_output=True, text=True
    )
    assert (finished.returncode, finished.stderr) == (0, "")
    mask = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out.nrrd")))
    assert mask[3].sum() > 100 and not mask[[0, 1, 2, 4, 5, 6]].any()
