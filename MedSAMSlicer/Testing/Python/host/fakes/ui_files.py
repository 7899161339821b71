"""QUiLoader: a real .ui file becomes doubles; a class, property or signal that Slicer lacks is an error here."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

from ..doubles import Double, connect, double, implements


def enumerator(text: str) -> Any:
    """`Qt::AlignLeft|Qt::AlignTop` as a number."""
    number = 0
    for part in text.split("|"):
        owner, _, name = part.strip().rpartition("::")
        number |= getattr(double(owner.split("::")[0]), name)
    return number


def value_of(element: ElementTree.Element) -> Any:
    text = element.text or ""
    numbers = [int(child.text or 0) for child in element if (child.text or "").strip().lstrip("-").isdigit()]
    plain: dict[str, Any] = {
        "string": lambda: text,
        "cstring": lambda: text,
        "bool": lambda: text == "true",
        "number": lambda: int(text),
        "double": lambda: float(text),
        "enum": lambda: enumerator(text),
        "set": lambda: enumerator(text),
        "stringlist": lambda: tuple(child.text or "" for child in element),
        "size": lambda: double("QSize")(*numbers),
        "rect": lambda: double("QRect")(*numbers),
        "color": lambda: double("QColor")(*numbers[:3]),
        "iconset": lambda: double("QIcon")((element.findtext("normaloff") or text).strip()),
        "sizepolicy": lambda: double("QSizePolicy")(
            getattr(double("QSizePolicy"), element.get("hsizetype", "Preferred")),
            getattr(double("QSizePolicy"), element.get("vsizetype", "Preferred")),
        ),
        "font": lambda: double("QFont")(),
        "pixmap": lambda: double("QPixmap")(text),
        "cursorShape": lambda: double("QCursor")(getattr(double("Qt"), text)),
    }
    if element.tag not in plain:
        raise ValueError(
            f"the host does not know properties of type <{element.tag}>: teach it in host/fakes/ui_files.py"
        )
    return plain[element.tag]()


class Builder:
    def __init__(self, path: str) -> None:
        self.path = path
        self.named: dict[str, Any] = {}
        self.buddies: list[tuple[Any, str]] = []

    def build(self, parent: Any) -> Any:
        root = ElementTree.parse(self.path).getroot()  # noqa: S314 - the project's own file
        top = root.find("widget")
        if top is None:
            raise ValueError(f"{self.path} has no widget")
        widget = self.widget(top, parent)
        for label, name in self.buddies:
            label.setBuddy(self.named[name])
        for connection in root.iterfind("connections/connection"):
            parts = {child.tag: child.text or "" for child in connection}
            receiver, slot = self.named[parts["receiver"]], parts["slot"].split("(")[0]
            connect(self.named[parts["sender"]], parts["signal"], getattr(receiver, slot))
        return widget

    def widget(self, element: ElementTree.Element, parent: Any) -> Any:
        made = double(element.get("class", ""))()
        if parent is not None:
            made._attach(parent)
        self.describe(made, element)
        for child in element:
            if child.tag == "widget":
                self.widget(child, made)
            elif child.tag == "layout":
                made.setLayout(self.layout(child, made))
        return made

    def layout(self, element: ElementTree.Element, parent: Any) -> Any:
        made = double(element.get("class", ""))()
        self.describe(made, element, skip=("leftMargin", "topMargin", "rightMargin", "bottomMargin"))
        for item in element.iterfind("item"):
            for child in item:
                if child.tag == "widget":
                    made._put(self.widget(child, parent))
                elif child.tag == "layout":
                    made._put(self.layout(child, parent))
                elif child.tag == "spacer":
                    made.addItem(None)
        return made

    def describe(self, made: Any, element: ElementTree.Element, skip: tuple[str, ...] = ()) -> None:
        name = element.get("name")
        if name:
            made.objectName = name
            self.named[name] = made
        properties = {child.get("name", ""): child[0] for child in element.iterfind("property")}
        # A value is set after its bounds, whatever their order in the file.
        for key in sorted(properties, key=lambda key: key in ("value", "currentIndex", "minimumValue", "maximumValue")):
            if key == "buddy":
                self.buddies.append((made, properties[key].text or ""))
            elif key not in skip:
                self.set(made, key, value_of(properties[key]), element)

    def set(self, made: Any, key: str, value: Any, element: ElementTree.Element) -> None:
        dynamic = any(child.get("name") == key and child.get("stdset") == "0" for child in element.iterfind("property"))
        if key in made._facts.properties:
            setattr(made, key, value)
        elif dynamic:
            made.setProperty(key, value)
        elif key != "orientation":  # of a Line, which is a QFrame
            raise AttributeError(f"{self.path}: {made.className()} '{element.get('name')}' has no property '{key}'")


@implements("QUiLoader")
class UiLoader(Double):
    def load(self, device: Any, parent: Any = None) -> Any:
        return Builder(device.fileName()).build(parent)
