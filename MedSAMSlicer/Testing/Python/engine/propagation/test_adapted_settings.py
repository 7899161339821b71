"""An adapter changes settings that there are, to values of their type; everything else is refused."""

from __future__ import annotations

from typing import Any

import pytest

from MedSAMSlicerLib.engine.errors import WeightsError
from MedSAMSlicerLib.engine.propagation.adapted_settings import adapted_settings
from MedSAMSlicerLib.engine.propagation.settings import PropagationSettings


def test_without_changes_the_settings_are_the_defaults() -> None:
    assert adapted_settings({}) == PropagationSettings()


def test_what_is_named_changes_and_nothing_else() -> None:
    found = adapted_settings(
        {
            "confidence": {"middle": 0.81, "steepness": 30},
            "in_box": {"fewest_in_parts": 4, "median_box": {"tolerance": 0.05}},
        }
    )
    assert (found.confidence.middle, found.confidence.steepness) == (0.81, 30.0)
    assert (found.in_box.fewest_in_parts, found.in_box.median_box.tolerance) == (4, 0.05)
    default = PropagationSettings()
    assert found.confidence.review_below == default.confidence.review_below
    assert found.in_box.median_box.first_weight == default.in_box.median_box.first_weight
    assert (found.outward, found.between_keys) == (default.outward, default.between_keys)
    assert adapted_settings({"in_box": {"fewest_in_parts": None}}) == default


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"smoothness": {}}, "its setting smoothness is unknown"),
        ({"in_box": {"width": 1.0}}, r"its setting in_box\.width is unknown"),
        ({"in_box": {"median_box": 0.5}}, r"in_box\.median_box is 0\.5, no table"),
        (
            {"in_box": {"median_box": {"tolerance": "0.5"}}},
            r"in_box\.median_box\.tolerance is '0\.5', not of the type float",
        ),
        ({"confidence": {"middle": True}}, r"confidence\.middle is True, not of the type float"),
        ({"confidence": {"middle": float("nan")}}, r"confidence\.middle is nan"),
        ({"skipping": {"fewest_predicted": 12.0}}, r"skipping\.fewest_predicted is 12\.0, not of the type int"),
        ({"skipping": {"fewest_predicted": None}}, r"skipping\.fewest_predicted is None"),
        ({"jitter": {"disputed_below": 0.5}}, "jitter is the same for all models"),
    ],
)
def test_other_changes_are_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(WeightsError, match=why):
        adapted_settings(changes)
