"""Standardised uptake values (SUV, by body weight) of PET series, where the DICOM header tells how."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import pydicom

_FORMATS = ("%Y%m%d%H%M%S.%f", "%Y%m%d%H%M%S")


def suv_factor(header: pydicom.Dataset) -> float | None:
    """Factor from the rescaled values of a PET slice to SUV in g/ml.

    Returns:
        1 if the values are SUV already; None if the header does not tell: units, weight, dose or times are missing, or the
        values are not corrected for attenuation and decay.
    """
    units = str(header.get("Units") or "").upper()
    if units == "GML":
        return 1.0 if str(header.get("SUVType") or "BW").upper() == "BW" else None
    corrected = header.get("CorrectedImage") or []
    corrections = [corrected] if isinstance(corrected, str) else list(corrected)
    drugs = list(header.get("RadiopharmaceuticalInformationSequence") or [])
    if units != "BQML" or not {"ATTN", "DECY"} <= set(corrections) or len(drugs) != 1:
        return None
    grams = 1000 * _number(header, "PatientWeight")
    dose, half_life = _number(drugs[0], "RadionuclideTotalDose"), _number(drugs[0], "RadionuclideHalfLife")
    if not (grams > 0 and dose > 0):
        return None
    decay = str(header.get("DecayCorrection") or "").upper()
    if decay == "ADMIN":
        return grams / dose
    scan, injection = _scan_begin(header), _injection(header, drugs[0])
    if decay != "START" or scan is None or injection is None or not half_life > 0:
        return None
    seconds = (scan - injection).total_seconds()
    return grams / (dose * 2 ** (-seconds / half_life)) if 0 <= seconds < 86400 else None


def _number(ds: pydicom.Dataset, keyword: str) -> float:
    value = ds.get(keyword)
    return math.nan if value in (None, "") else float(value)


def _scan_begin(header: pydicom.Dataset) -> datetime | None:
    """Time to which the values are corrected: that of the series, unless later processing has changed it."""
    series = _time(header.get("SeriesDate"), header.get("SeriesTime"))
    acquired = _time(header.get("AcquisitionDate"), header.get("AcquisitionTime"))
    if series is None or (acquired is not None and series > acquired):
        return None
    return series


def _injection(header: pydicom.Dataset, drug: pydicom.Dataset) -> datetime | None:
    stated = drug.get("RadiopharmaceuticalStartDateTime")
    if stated:
        text = str(stated).split("+")[0].split("-")[0]
        return _time(text[:8], text[8:])
    at = _time(header.get("SeriesDate"), drug.get("RadiopharmaceuticalStartTime"))
    scan = _time(header.get("SeriesDate"), header.get("SeriesTime"))
    # Only the time of day is stated: an injection after the scan was on the day before.
    return at - timedelta(days=1) if at is not None and scan is not None and at > scan else at


def _time(date: object, time: object) -> datetime | None:
    if not date or not time:
        return None
    for pattern in _FORMATS:
        try:
            return datetime.strptime(f"{date}{time}", pattern)
        except ValueError:
            continue
    return None
