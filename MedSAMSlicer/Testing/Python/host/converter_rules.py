"""Keeps the rules of conversion between representations of segments from piling up in a process of many tests."""

from __future__ import annotations

import slicer


def forget_repeated_rules() -> None:
    """Unregister all but the first of each rule of conversion between representations of segments.

    Slicer's Segmentations module, which exists once, registers its rules with a factory of the process. With one logic for
    each test there would be thousands, and every copy of a segmentation, which searches them, would take seconds.
    """
    factory, known = slicer.vtkSegmentationConverterFactory.GetInstance(), set[str]()
    for rule in factory.GetConverterRules():
        if rule.GetClassName() in known:
            factory.UnregisterConverterRule(rule)
        known.add(rule.GetClassName())
