"""Names by TG-263: what is wrong with a name, what it could be, and what is suggested while typing."""

from __future__ import annotations

import pytest

from MedSAMSlicerLib.handoff.roi_names import LONGEST, SUGGESTIONS, mended, problem_of, suggestions, warning


@pytest.mark.parametrize(
    "name",
    ["GTVp", "GTVn1", "CTV_High", "PTV_6000", "PTV_50.4Gy", "PTV!", "Lung_L", "SpinalCord", "Segment_1", "zRing"],
)
def test_names_that_keep_the_rules(name: str) -> None:
    assert problem_of(name) == warning(name) == ""
    assert mended(name) == name


OF_THE_REPORT = """
GTV CTV ITV IGTV ICTV PTV PTV! PTVn GTVp CTVsb GTVpar CTVv CTVvas PTV1 GTVp2 PTVp1_CT1PT1 GTV_CT2 CTV_A_Aorta
CTV_A_Celiac GTV_Preop PTV_Boost PTV_Eval PTV_MR2_Prostate PTV_High CTV_Low GTV_Mid PTV_Mid01 PTV_5040 PTV_50.4Gy
PTV_50p4Gy PTV_Liver_2000x3 PTV_Liver_20Gyx3 PTV_Eval_7000-08 PTV-03 CTVp2-05 PTV^Physician1 GTV_Liver^ICG
"""


def test_the_examples_of_the_report_keep_the_rules() -> None:
    """Section 8.2 of TG-263's report, its rules 1 to 9."""
    assert [name for name in OF_THE_REPORT.split() if problem_of(name)] == []


@pytest.mark.parametrize(
    "name", ["GTV_n", "PTVx", "PTV_liver", "PTV_Liver_Eval", "GTV_XY1", "PTV_Mid1", "PTV-3", "CTVp^"]
)
def test_targets_that_are_built_otherwise_break_them(name: str) -> None:
    assert problem_of(name) == "is not built like the name of a target"


@pytest.mark.parametrize(
    ("name", "proposal"),
    [
        ("left lung", "Lung_L"),
        ("Optic nerve right", "OpticNrv_R"),
        ("kidneys", "Kidneys"),
        ("spinal cord", "SpinalCord"),
        ("oesophagus ", "Esophagus"),
        ("lung_l", "Lung_L"),
        ("gtv", "GTV"),
        ("GTV primary", "GTVp"),
        ("GTV nodes 2", "GTVn2"),
        ("PTV 60 Gy", "PTV_6000"),
        ("ptv_50.4gy", "PTV_5040"),
        ("CTV high", "CTV_High"),
        ("CTVn L", "CTVn^L"),
        ("GTV nodes 2 right", "GTVn2^R"),
        ("CTVn lung", "CTVn^lung"),
        ("PTV posterior", "PTV^posterior"),
        ("PTV 5 mm", "PTV^5_mm"),
        ("GTV liver 2", "GTV2_Liver"),
        ("PTV 60 Gy liver", "PTV_Liver_6000"),
        ("GTV lung left", "GTV_Lung_L"),
        ("GTV 2 liver left", "GTV2^liver_L"),
        ("GTV_Mass_CT", "GTV^Mass_CT"),
        ("PTV 60 Gy lung 3", "PTV3_6000^lung"),
        ("GTV_mediastinal_station_7", "GTV7^mediastinal"),
        ("spinal cord 2", "spinal_cord_2"),
        ("Metastasis of liver 12", "Metastasis_of_12"),
        ("Lung tumour", "Lung_tumour"),
        ("a name of more than 16 characters", "a_name_of_more_t"),
        ("1st lesion", "_1st_lesion"),
        ("肿瘤", "Structure"),
    ],
)
def test_other_names_are_mended_in_a_warning(name: str, proposal: str) -> None:
    assert mended(name) == proposal
    assert problem_of(proposal) == "" and len(proposal) <= LONGEST
    assert proposal in warning(name) and name in warning(name)


def test_a_side_is_never_guessed() -> None:
    assert "no side" in warning("Kidney") and "would do" not in warning("Kidney")
    assert mended("Kidney") == "Kidney"
    for name in ("Parotid R+L", "Lung L/R", "submandibular left right"):
        assert mended(name) == name and "would do" not in warning(name)


def test_suggestions_come_while_typing() -> None:
    assert suggestions("GTV") == ["GTV", "GTVp", "GTVn"]
    assert suggestions("lun")[:3] == ["Lung_L", "Lung_R", "Lungs"]
    assert suggestions("left kid") == [] and suggestions("left kidney") == ["Kidney_L"]
    assert suggestions("gullet") == []
    assert all(problem_of(name) == "" for name in SUGGESTIONS)
