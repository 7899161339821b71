"""Spin boxes, sliders, ranges and progress bars: a value between bounds."""

from __future__ import annotations

from typing import Any

from ..doubles import Double, double, implements


class Bounded(Double):
    """The value stays within the bounds, and the bounds in order."""

    def bound_value(self, value: float) -> float:
        return type(value)(min(max(value, self.minimum), self.maximum))

    def on_minimum(self, minimum: float) -> None:
        if self.maximum < minimum:
            self.maximum = minimum
        if self.value < minimum:
            self.value = minimum

    def on_maximum(self, maximum: float) -> None:
        if self.minimum > maximum:
            self.minimum = maximum
        if self.value > maximum:
            self.value = maximum


@implements("QSpinBox", "QDoubleSpinBox", "QAbstractSlider")
class Spin(Bounded):
    def setRange(self, minimum: float, maximum: float) -> None:
        self.minimum, self.maximum = minimum, maximum


@implements("QProgressBar")
class ProgressBar(Double):
    def made(self, *arguments: Any) -> None:
        double("QWidget").made(self, *arguments)
        self.__dict__["_values"].update(value=-1, maximum=100)

    def setRange(self, minimum: int, maximum: int) -> None:
        self.minimum, self.maximum = minimum, maximum

    def on_value(self, value: int) -> None:
        self.valueChanged.emit(value)
