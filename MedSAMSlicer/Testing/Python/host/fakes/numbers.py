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


@implements("ctkDoubleSlider", "ctkDoubleSpinBox")
class CtkSpin(Bounded):
    def made(self, *arguments: Any) -> None:
        double("QWidget").made(self, *arguments)
        self.__dict__["_values"].update(maximum=99.0, singleStep=1.0)

    def on_value(self, value: float) -> None:
        self.valueChanged.emit(value)


@implements("QSlider")
class Slider(Double):
    def made(self, *arguments: Any) -> None:
        rest = list(arguments)
        if rest and isinstance(rest[0], int) and not isinstance(rest[0], bool):
            self.__dict__["_values"]["orientation"] = rest.pop(0)
        double("QAbstractSlider").made(self, *rest)


@implements("ctkSliderWidget")
class SliderWidget(Bounded):
    def made(self, *arguments: Any) -> None:
        double("QWidget").made(self, *arguments)
        self.__dict__["_values"].update(maximum=99.0, singleStep=1.0, pageStep=10.0, tracking=True, decimals=2)

    def on_value(self, value: float) -> None:
        self.valueChanged.emit(value)

    def reset(self) -> None:
        self.value = self.minimum


@implements("ctkRangeWidget")
class RangeWidget(Double):
    def made(self, *arguments: Any) -> None:
        double("QWidget").made(self, *arguments)
        self.__dict__["_values"].update(maximum=99.0, maximumValue=99.0, singleStep=1.0, decimals=2)

    def setRange(self, minimum: float, maximum: float) -> None:
        self.minimum, self.maximum = minimum, maximum

    def setValues(self, low: float, high: float) -> None:
        before = self.blockSignals(True)
        self.minimumValue, self.maximumValue = low, high
        self.blockSignals(before)
        self.valuesChanged.emit(self.minimumValue, self.maximumValue)

    def on_minimumValue(self, value: float) -> None:
        self.minimumValueChanged.emit(value)
        self.valuesChanged.emit(value, self.maximumValue)

    def on_maximumValue(self, value: float) -> None:
        self.maximumValueChanged.emit(value)
        self.valuesChanged.emit(self.minimumValue, value)


@implements("QProgressBar")
class ProgressBar(Double):
    def made(self, *arguments: Any) -> None:
        double("QWidget").made(self, *arguments)
        self.__dict__["_values"].update(value=-1, maximum=100)

    def setRange(self, minimum: int, maximum: int) -> None:
        self.minimum, self.maximum = minimum, maximum

    def on_value(self, value: int) -> None:
        self.valueChanged.emit(value)

    def reset(self) -> None:
        self.value = self.minimum - 1
