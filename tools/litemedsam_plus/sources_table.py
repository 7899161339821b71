"""The public data that LiteMedSAM+ learned from, beside its sarcomas: where they are, what they are, whose they are.

docs/litemedsam_plus_data.md says it in words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from litemedsam_plus.collect_clone import Clone
from litemedsam_plus.collect_pictures import Picture
from litemedsam_plus.sources_slices import MaskFolder, read_brain_tumours, read_fetal_heads, read_regional_anaesthesia
from litemedsam_plus.sources_volumes import (
    read_left_ventricles,
    read_lung_nodules,
    read_sclerosis_lesions,
    read_spinal_cords,
)


@dataclass(frozen=True)
class Source:
    """One set of images.

    Attributes:
        prefix: of the ids.
        modality: as in the table of cases.
        repository: ``OWNER/NAME`` on GitHub, which carries the images.
        commit: of the repository.
        target: what the objects are; empty where the reader says it of each.
        truth: who drew the contours.
        licence: of the images and contours, and where that is said.
        attribution: whom to cite.
        read: gives the pictures, always in the same order.
        held_back: names of the pictures that were not trained on; if None, every fourth.
    """

    prefix: str
    modality: str
    repository: str
    commit: str
    target: str
    truth: str
    licence: str
    attribution: str
    read: Callable[[Clone], Iterator[Picture]]
    held_back: frozenset[str] | None = None

    def holds_back(self, index: int, name: str) -> bool:
        """Whether the picture ``index`` that `read` gives, from 0, was not trained on."""
        return index % 4 == 3 if self.held_back is None else name in self.held_back


SOURCES = (
    Source(
        "scd",
        "MR",
        "kwu93/image-segmentation",
        "932d305f5a4ebdf7f2873cc6723a4e5e919efad7",
        "",
        "human (drawn by an experienced cardiologist, confirmed by another; Sunnybrook 2009 LV challenge)",
        'CC0 1.0 (cardiacatlas.org Sunnybrook Cardiac Data: "License and attribution of these data set, including its '
        'derivatives, follows the Public Domain (CC0 1.0 Universal)"; the carrying repo itself has no licence file)',
        "Radau P, Lu Y, Connelly K, Paul G, Dick AJ, Wright GA. Evaluation Framework for Algorithms Segmenting Short Axis "
        "Cardiac MRI. The MIDAS Journal, 2009, http://hdl.handle.net/10380/3070",
        read_left_ventricles,
        frozenset({"schfi5_ed", "schfi5_es"}),
    ),
    Source(
        "usgra",
        "US",
        "tmkand/usgra-seg",
        "66dc77df2a64c7d372d1e783648644561bc693c5",
        "",
        "human (examiner, LabelMe polygons)",
        'CC BY 4.0 (README: "The dataset located in the dataset/ directory is licensed under CC-BY 4.0"; text in '
        "dataset/LICENSE)",
        "Kandaouroff T. usgra-seg: Ultrasound-Guided Regional Anaesthesia semantic SEGmentation, 2025, "
        "https://github.com/tmkand/usgra-seg",
        read_regional_anaesthesia,
    ),
    Source(
        "hc18",
        "US",
        "suraj7974/Tensorflow-Keras-UNET-model-for-Fetal-dataset",
        "e5b9e795112fbdc5923a315f69956c50ca9054fd",
        "fetal head (ellipse), ultrasound standard plane",
        "human (ellipse drawn by a trained sonographer)",
        "CC BY 4.0 (Zenodo 10.5281/zenodo.1327317, HC18; not repeated in the carrying repo)",
        "van den Heuvel TLA, de Bruijn D, de Korte CL, van Ginneken B. Automated measurement of fetal head circumference "
        "using 2D ultrasound images. PLoS ONE 13(8):e0200412, 2018, doi:10.1371/journal.pone.0200412; "
        "doi:10.5281/zenodo.1327317",
        read_fetal_heads,
    ),
    Source(
        "msles",
        "MR",
        "muschellij2/open_ms_data",
        "65704901f60650824565aa5a4818611aa89716f4",
        "multiple-sclerosis white-matter lesion on FLAIR (value = size rank of the 2-D piece in its axial slice, pieces "
        ">=30 mm2), skull-stripped, resampled to MNI 1 mm",
        "human (consensus of several raters, Lesjak et al. 2017), mask resampled with the image",
        'CC BY (repo README and cross_sectional/LICENSE.txt: "The database is released under the Creative-Commons '
        'Attribution (CC-BY) license", no version)',
        "Lesjak Ž, Galimzianova A, Koren A, Lukin M, Pernuš F, Likar B, Špiclin Ž. A Novel Public MR Image Dataset of "
        "Multiple Sclerosis Patients With Lesion Segmentations Based on Multi-rater Consensus. Neuroinformatics, 2017, "
        "doi:10.1007/s12021-017-9348-7",
        read_sclerosis_lesions,
        frozenset({"26_flair"}),
    ),
    Source(
        "spinegen",
        "MR",
        "ivadomed/data-testing",
        "794a3075175266758d1bb95d864672a045a7918c",
        "",
        "human-corrected (automatic on GRE-T1w, then corrected by hand; same mask for the three registered contrasts)",
        'CC0 (spine-generic/data-multi-subject dataset_description.json "License": "CC0"; its LICENSE file is MIT; the '
        "carrying repo names that data set and has no licence)",
        "Cohen-Adad J et al. Open-access quantitative MRI data of the spinal cord and reproducibility across "
        "participants, sites and manufacturers. Scientific Data 8:219, 2021, doi:10.1038/s41597-021-00941-8",
        read_spinal_cords,
        frozenset(),
    ),
    Source(
        "cheng",
        "MR",
        "RahulDhaka29/DLMI_CS328_Projects_AD23B1044-",
        "51f93df8c309d7bba6107128a9975004dcd051fd",
        "brain tumour (meningioma, glioma or pituitary), one slice (axial, coronal or sagittal) of contrast-enhanced T1",
        "human (tumour border drawn by hand by experienced radiologists; Cheng et al. 2015/2017)",
        "CC BY 4.0 (figshare 10.6084/m9.figshare.1512427; not repeated in the carrying repo)",
        "Cheng J et al. Enhanced Performance of Brain Tumor Classification via Tumor Region Augmentation and Partition. "
        "PLoS ONE 10(10):e0140381, 2015, doi:10.1371/journal.pone.0140381; doi:10.6084/m9.figshare.1512427",
        read_brain_tumours,
    ),
    Source(
        "lidc",
        "CT",
        "periclesanfe/Pulmoseg",
        "045c0c6b793191819d964d0f7862124731559d42",
        "",
        "human (pixels marked by at least 2 of the 4 radiologists of LIDC-IDRI)",
        "CC BY 3.0 (TCIA LIDC-IDRI; not repeated in the carrying repo, which is MIT and names LIDC-IDRI)",
        "Armato SG III et al. The Lung Image Database Consortium (LIDC) and Image Database Resource Initiative (IDRI): a "
        "completed reference database of lung nodules on CT scans. Medical Physics 38:915-931, 2011, "
        "doi:10.1118/1.3528204. The authors acknowledge the National Cancer Institute and the Foundation for the "
        "National Institutes of Health, and their critical role in the creation of the free publicly available LIDC/IDRI "
        "Database used in this study.",
        read_lung_nodules,
    ),
    Source(
        "panc",
        "CT",
        "atlan-antillia/Tensorflow-Image-Segmentation-Pancreas",
        "992760d66d8587f905d1c2cdc9d881e1ede4912f",
        "pancreas, contrast CT, axial slice (8-bit JPEG, windowed by the carrier)",
        "human (medical student slice by slice, verified by a radiologist; NIH Pancreas-CT)",
        "CC BY 3.0 (TCIA Pancreas-CT; licence text in projects/TensorflowSlightlyFlexibleUNet/Pancreas/LICENSE of the "
        "repo)",
        "Roth HR et al. Data From Pancreas-CT. The Cancer Imaging Archive, 2016, doi:10.7937/K9/TCIA.2016.tNB1kqBU",
        MaskFolder("dataset/Pancreas/test", 60, upside_down=True),
    ),
    Source(
        "hvsmr",
        "MR",
        "sarah-antillia/TensorFlow-FlexUNet-Image-Segmentation-Whole-Heart-HVSMR-2.0",
        "b677e9c2986fcc6a49424021db3d46575a49f748",
        "heart chamber or great vessel (congenital heart disease), cropped slice",
        "human (manual, HVSMR-2.0)",
        "CC BY 4.0 (figshare collection 7074755, quoted in the repo README)",
        "Pace D et al. HVSMR-2.0: A 3D cardiovascular MR dataset for whole-heart segmentation in congenital heart "
        "disease. figshare, doi:10.6084/m9.figshare.c.7074755.v2",
        MaskFolder("projects/TensorFlowFlexUNet/Whole-Heart/mini_test", 36, coloured=True),
    ),
    Source(
        "carotid",
        "US",
        "sarah-antillia/Tensorflow-Image-Segmentation-Common-Carotid-Artery-UltraSound-Images",
        "f2673b119f95d6c360d0d0714144cd51ec9c4215",
        "common carotid artery lumen, ultrasound",
        "human (technician, verified by an expert; Momot 2022)",
        'CC BY 4.0 (Mendeley Data d4xt63mgjm; "License: Creative Commons Attribution 4.0 International License" in the '
        "repo README)",
        "Momot A. Common Carotid Artery Ultrasound Images. Mendeley Data, V1, 2022, doi:10.17632/d4xt63mgjm.1",
        MaskFolder("projects/TensorflowSlightlyFlexibleUNet/CCAUS/mini_test", 16),
    ),
    Source(
        "lumbar",
        "MR",
        "sarah-antillia/TensorFlow-FlexUNet-Image-Segmentation-Lumbar-Spine",
        "a7e1d419b066955732fc1356dd29ca36d9b4cfd8",
        "vertebra in a sagittal slice (one piece of the mask per value; flipped to head up)",
        "human-corrected (SPIDER: iterative, automatic segmentation corrected by a trained medical student under expert "
        "supervision)",
        'CC BY 4.0 (SPIDER, Zenodo; the repo README quotes "Attribution 4.0 International (CC BY 4.0)")',
        "van der Graaf JW et al. Lumbar spine segmentation in MR images: a dataset and a public benchmark. Scientific "
        "Data 11:264, 2024, doi:10.1038/s41597-024-03090-w",
        MaskFolder(
            "projects/TensorFlowFlexUNet/Lumbar-Spine/mini_test",
            36,
            smallest=300,
            coloured=True,
            upside_down=True,
            left_out=r"10016|10010_(0|13|14)$|10025_2|10027_3|10029_1|10031|10008_18|10009_13|10024_5",
        ),
    ),
)
