"""PyTorch's runtime starts without torchvision, which takes longer to import than the model to load."""

from __future__ import annotations

import subprocess
import sys

import pytest

from MedSAMSlicerLib.engine.environment import child_environment

pytestmark = pytest.mark.slow

SCRIPT = """
import sys
from MedSAMSlicerLib.engine.models import litemedsam, network, sam_med2d
for family in (litemedsam.FAMILY, sam_med2d.FAMILY):
    family.build_network()
print([name for name in sys.modules if name.startswith(("segment_anything", "torchvision"))])
import segment_anything.modeling
print(hasattr(segment_anything, "SamPredictor"), hasattr(segment_anything.modeling, "Sam"))
"""


def test_networks_are_built_without_the_rest_of_the_package_which_can_still_be_imported() -> None:
    command = [sys.executable, "-c", SCRIPT]
    ran = subprocess.run(command, env=child_environment(), capture_output=True, text=True, check=False)
    assert ran.stdout.split() == ["[]", "True", "True"], ran.stderr
