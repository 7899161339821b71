"""A CT of a lung tumour in Slicer's Sample Data module: test data of pyradiomics, downloaded on request."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

CATEGORY = "MedSAMSlicer"
SAMPLE = "Lung tumour CT"
SAMPLE_WITH_CONTOUR = "Lung tumour CT with contour"
THUMBNAIL = Path(__file__).resolve().parents[3] / "Resources" / "Icons" / "LungTumourCT.png"
# Files of a release do not change.
_FOLDER = "https://raw.githubusercontent.com/AIM-Harvard/pyradiomics/v3.0.1/data"
IMAGE = ("lung2_image.nrrd", "aa2b94eec79127ed786798ac8dc3c013010e1692d5787bebfae1a1e9685a4651")
CONTOUR = ("lung2_label.nrrd", "cef52738dc51aab69a48fe30639da956d2b911b1c2920439c091fab84727657a")


def register_sample_data(load: Callable[[Any], object] | None = None) -> None:
    """Add the data sets to the Sample Data module. Downloads nothing.

    Args:
        load: called with the `SampleDataSource` that the user selects; None: the module loads it as it is.
    """
    import SampleData

    for name, files, nodes, kinds in (
        (SAMPLE, [IMAGE], ["LungTumourCT"], ["VolumeFile"]),
        (
            SAMPLE_WITH_CONTOUR,
            [IMAGE, CONTOUR],
            ["LungTumourCT", "LungTumourReference"],
            ["VolumeFile", "SegmentationFile"],
        ),
    ):
        SampleData.SampleDataLogic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=name,
            uris=[f"{_FOLDER}/{file}" for file, _sha256 in files],
            fileNames=[file for file, _sha256 in files],
            nodeNames=nodes,
            checksums=[f"SHA256:{sha256}" for _file, sha256 in files],
            loadFileTypes=kinds,
            thumbnailFileName=str(THUMBNAIL),
            customDownloader=load,
        )
