"""Names of structures by the rules of TG-263: checked, mended and suggested, never changed silently."""

from __future__ import annotations

import re

LONGEST = 16
_SIDES = {"left": "_L", "lt": "_L", "l": "_L", "right": "_R", "rt": "_R", "r": "_R"}
_DOSE = re.compile(r"(\d+(?:\.\d+)?)\s*(c?)gy\b", re.IGNORECASE)
# Names of the report for what is contoured most, and how they are written elsewhere.
_ORGANS = {
    "A_Aorta": "aorta",
    "Bag_Bowel": "bowel bag",
    "Bladder": "urinary bladder",
    "Bone": "bone",
    "Bone_Mandible": "mandible",
    "Bowel_Large": "large bowel",
    "Bowel_Small": "small bowel",
    "BrachialPlex": "brachial plexus",
    "Brain": "brain",
    "Brainstem": "brain stem",
    "Breast": "breast",
    "Cavity_Oral": "oral cavity",
    "Cochlea": "cochlea",
    "Duodenum": "duodenum",
    "Esophagus": "oesophagus",
    "External": "body",
    "Eye": "eye",
    "Femur_Head": "femoral head",
    "Genitals": "genitals",
    "Glnd_Lacrimal": "lacrimal gland",
    "Glnd_Submand": "submandibular gland",
    "Glnd_Thyroid": "thyroid",
    "Heart": "heart",
    "Hippocampus": "hippocampus",
    "Kidney": "kidney",
    "Larynx": "larynx",
    "Lens": "lens",
    "Lips": "lips",
    "Liver": "liver",
    "Lung": "lung",
    "OpticChiasm": "chiasm",
    "OpticNrv": "optic nerve",
    "Pancreas": "pancreas",
    "Parotid": "parotid gland",
    "PenileBulb": "penile bulb",
    "Pituitary": "pituitary gland",
    "Prostate": "prostate",
    "Rectum": "rectum",
    "SeminalVes": "seminal vesicles",
    "SpinalCanal": "spinal canal",
    "SpinalCord": "spinal cord",
    "Spleen": "spleen",
    "Stomach": "stomach",
    "Trachea": "trachea",
    "Uterus": "uterus",
}
_PAIRED = {
    **dict.fromkeys(("BrachialPlex", "Cochlea", "Femur_Head", "Glnd_Lacrimal", "Glnd_Submand", "Lens", "OpticNrv"), ""),
    **{"Breast": "Breasts", "Eye": "Eyes", "Hippocampus": "Hippocampi", "Kidney": "Kidneys", "Lung": "Lungs"},
    "Parotid": "Parotids",
}
"""Organs that have a side; the name of both together, where there is one."""
_TARGETS = ("GTV", "GTVp", "GTVn", "CTV", "CTVp", "CTVn", "CTV_High", "CTV_Low", "ITV", "PTV", "PTV_High", "PTV_6000")
SUGGESTIONS = (
    *_TARGETS,
    *(
        name
        for organ in _ORGANS
        for name in ((f"{organ}_L", f"{organ}_R", _PAIRED[organ]) if organ in _PAIRED else (organ,))
        if name
    ),
)
"""Names that are suggested while the user types."""
# Beside the organs: what else of the report's list stands in the names of targets, and the classes of its further names.
_INDICATORS = "|".join(sorted({*SUGGESTIONS[len(_TARGETS) :], "Boost", "Eval", "Preop"}, key=len, reverse=True))
_CLASSES = "A|Bone|CN|Glnd|LN|Musc|N|Spc|V|VB"
_TARGET = re.compile(
    rf"""(I?GTV|I?CTV|ITV|PTV!?)       # type of target
        (n|p|sb|par|v|vas)?           # class: nodal, primary, surgical bed, ...
        (\d{{1,2}})?                   # number
        (_((CT|PT|MR|SP)\d{{0,2}})+)?  # images
        (_({_INDICATORS}|({_CLASSES})(_[A-Za-z0-9]+)+?))?  # what it lies in, or is for
        (_(High|Low|Mid)(\d\d)?|_\d{{3,5}}(x\d+)?|_\d+([.p]\d+)?Gy(x\d+)?)?  # dose
        (-\d\d)?                      # millimetres that it keeps from the skin
        (\^\S+)?                      # anything else""",
    re.VERBOSE,
)
"""Section 8 of the report of AAPM's Task Group 263, without its last resort for names that are too long."""


def problem_of(name: str) -> str:
    """Which rule a name breaks, in a few words; '' if it breaks none."""
    if re.search(r"\s", name):
        return "has spaces"
    if not name:
        return "is empty"
    if len(name) > LONGEST:
        return f"has more than {LONGEST} characters"
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_~^!+.\-]*", name):
        return "has characters other than letters, digits and _ ~ ^ ! + . -"
    if re.match(r"(?i)I?(GTV|CTV|ITV|PTV)", name) and not _TARGET.fullmatch(name):
        return "is not built like the name of a target"
    known = {one.casefold(): one for one in SUGGESTIONS}
    if name not in known.values() and name.casefold() in known:
        return f"is written {known[name.casefold()]}"
    if name in _PAIRED:
        return "has no side, _L or _R"
    return ""


def mended(name: str) -> str:
    """The nearest name that breaks no rule: a proposal for the user to accept."""
    if not problem_of(name) or len(_sides(name)) > 1:
        return name
    # The names of organs have no number, which tells two structures apart.
    organ = "" if re.search(r"\d", name) else _mended_organ(name)
    for candidate in (_mended_target(name), organ, _mended_text(name)):
        if candidate and not problem_of(candidate):
            return candidate
    return name if name in _PAIRED else "Structure"  # the side is not ours to guess


def warning(name: str) -> str:
    """One line on a name that breaks a rule of TG-263, with the mended name; '' if it breaks none."""
    problem, better = problem_of(name), mended(name)
    if not problem:
        return ""
    return f"{name!r} {problem} (TG-263)" + (f": {better} would do" if better != name else "")


def suggestions(text: str, most: int = 8) -> list[str]:
    """Names that begin with a text, or are called so elsewhere, best first."""
    wanted = text.strip().casefold()
    begin = [name for name in SUGGESTIONS if name.casefold().startswith(wanted)]
    organ = _mended_organ(text)
    organs = [name for name, other in _ORGANS.items() if wanted and wanted in other]
    called = [name for organ in organs for name in SUGGESTIONS if name == organ or name.startswith(f"{organ}_")]
    return list(dict.fromkeys([*([organ] if organ else []), *begin, *called]))[:most]


def _mended_target(name: str) -> str:
    match = re.match(r"(?i)\s*(I?)(GTV|CTV|ITV|PTV)[\s_-]*(.*)", name)
    if not match:
        return ""
    internal, target, rest = match.group(1).upper(), match.group(2).upper(), match.group(3).strip()
    grade = ""
    dose = _DOSE.search(rest)
    level = re.search(r"(?i)(?<![a-z])(high|mid|low)(\d\d)?(?![a-z\d])", rest)
    if dose:
        centigrays = float(dose.group(1)) * (1 if dose.group(2) else 100)
        grade = f"_{centigrays:.0f}"
    elif level:
        grade = f"_{level.group(1).capitalize()}{level.group(2) or ''}"
    graded = dose or level
    if graded:
        rest = f"{rest[: graded.start()]} {rest[graded.end() :]}".strip(" _-")
    kind = re.match(r"(?i)(primary|prim|p|nodal|nodes?|n)(?![a-z])", rest)
    letter = kind.group(1)[0].lower() if kind else ""
    words = re.findall(r"[A-Za-z0-9.]+", rest[kind.end() :] if kind else rest)
    side = "".join(dict.fromkeys(_SIDES[word.lower()][1:] for word in words if word.lower() in _SIDES))
    words = [word for word in words if word.lower() not in _SIDES]
    number = ""
    if words and re.fullmatch(r"\d{1,2}", words[-1]):
        number = words.pop()
    elif words and re.fullmatch(r"\d{1,2}", words[0]) and words[1].lower() not in ("mm", "cm"):
        number = words.pop(0)
    base = f"{internal}{target}{letter}{number}"
    organ = _mended_organ(" ".join([*words, side]))
    if organ.endswith(f"_{side}" if side else organ) and 0 < len(organ) <= LONGEST - len(f"{base}_{grade}"):
        return f"{base}_{organ}{grade}"
    base += grade
    # TG-263 lets anything follow "^". The number and the side come before what has to be cut.
    tail = f"_{side}" if side and words else side
    site = "_".join(words)[: max(0, LONGEST - 1 - len(base) - len(tail))].rstrip("_.")
    return f"{base}^{site}{tail}" if site or tail else base


def _sides(name: str) -> set[str]:
    """Sides that a name mentions."""
    return {_SIDES[word] for word in re.findall(r"[a-z]+", name.casefold()) if word in _SIDES}


def _mended_organ(name: str) -> str:
    words = re.findall(r"[a-z]+", name.casefold())
    sides = _sides(name)
    if len(sides) > 1:
        return ""
    side = "".join(sides)
    rest = " ".join(word for word in words if word not in _SIDES)
    if not rest:
        return ""
    for organ, other in _ORGANS.items():
        written = {organ.casefold(), organ.casefold().replace("_", " "), other, other.replace("oe", "e")}
        both = {f"{one}s" for one in written} | {_PAIRED.get(organ, "").casefold()}
        if organ not in _PAIRED and rest in written | both:
            return organ
        if organ in _PAIRED and side and rest in written:
            return organ + side
        if organ in _PAIRED and not side and rest in both:
            return _PAIRED[organ]
    return ""


def _mended_text(name: str) -> str:
    text = re.sub(r"[^A-Za-z0-9_~^!+.\-]", "", re.sub(r"\s+", "_", name.strip()))
    text = re.sub(r"_+", "_", text).strip("_-.")
    if not re.match(r"[A-Za-z_]", text):
        text = f"_{text}" if text else ""
    if len(text) <= LONGEST:
        return text
    end = re.search(r"_(\d{1,3}|[LR]|left|right)$", text, re.IGNORECASE)  # tells it apart from others
    tail = end.group() if end else ""
    return text[: LONGEST - len(tail)].rstrip("_-.") + tail
