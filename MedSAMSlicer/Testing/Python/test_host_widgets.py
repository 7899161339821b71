"""Dialogs, shortcuts, selectors and .ui files in the host."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
import slicer
import slicer.util

from host.application import Host
from host.fakes.dialogs import UnansweredDialog

pytest_plugins = ["host.fixture"]


@pytest.fixture
def qt(host: Host) -> ModuleType:
    return sys.modules["qt"]


def test_dialogs_need_an_answer(host: Host, qt: ModuleType) -> None:
    with pytest.raises(UnansweredDialog, match="Download"):
        qt.QMessageBox.question(None, "MedSAM", "Download 375 MB?")
    host.answers.append(qt.QMessageBox.Yes)
    assert qt.QMessageBox.question(None, "MedSAM", "Download 375 MB?") == qt.QMessageBox.Yes
    host.answers.append("/data/model.pth")
    assert qt.QFileDialog.getOpenFileName(None, "Model", "", "*.pth") == "/data/model.pth"
    assert [shown.text for shown in host.shown] == ["Download 375 MB?", "Download 375 MB?", "*.pth"]


def test_timers_go_on_while_a_dialog_is_open(host: Host, qt: ModuleType) -> None:
    ticks: list[int] = []
    timer = qt.QTimer()
    timer.interval = 50
    timer.connect("timeout()", lambda: ticks.append(1))
    timer.start()
    host.answers.append(lambda: len(ticks))
    assert qt.QMessageBox.question(None, "MedSAM", "Apply?") == len(ticks) > 1


def test_shortcuts_are_pressed_and_two_with_the_same_keys_block_each_other(host: Host, qt: ModuleType) -> None:
    window, heard = slicer.util.mainWindow(), []
    shortcut = qt.QShortcut(qt.QKeySequence("Ctrl+J"), window)
    shortcut.connect("activated()", lambda: heard.append("first"))
    host.user.shortcut("Ctrl+J")
    other = qt.QShortcut(qt.QKeySequence(qt.Qt.ControlModifier + qt.Qt.Key_J), window)
    other.activated.connect(lambda: heard.append("second"))
    for one in (shortcut, other):
        one.connect("activatedAmbiguously()", lambda one=one: heard.append(f"{[shortcut, other].index(one)} is unsure"))
    host.user.shortcut("Ctrl+J")
    host.user.shortcut("Ctrl+J")
    assert heard == ["first", "0 is unsure", "1 is unsure"]
    shortcut.enabled = False
    host.user.shortcut("Ctrl+J")
    assert heard[3:] == ["second"]


def test_a_shortcut_belongs_to_its_window(host: Host, qt: ModuleType) -> None:
    other, heard = qt.QWidget(), []
    other.show()
    field, shortcut = qt.QLineEdit(other), qt.QShortcut(qt.QKeySequence("Ctrl+J"), other)
    shortcut.connect("activated()", lambda: heard.append("other"))
    with pytest.raises(AssertionError, match="no shortcut of this window"):
        host.user.shortcut("Ctrl+J")
    host.user.shortcut("Ctrl+J", field)
    assert heard == ["other"]
    shortcut.setContext(qt.Qt.WidgetShortcut)
    with pytest.raises(AssertionError, match="no shortcut of this window"):
        host.user.shortcut("Ctrl+J", field)


def test_a_widget_is_hidden_where_it_was_hidden_itself(host: Host, qt: ModuleType) -> None:
    label = qt.QLabel(slicer.util.mainWindow())
    label.visible = True
    assert not label.isHidden()
    label.visible = False
    assert label.isHidden()


def test_an_event_filter_gets_a_plain_event_before_a_shortcut_and_cannot_tell_the_key(
    host: Host, qt: ModuleType
) -> None:
    heard: list[object] = []

    class Filter(qt.QObject):  # type: ignore[name-defined, misc]
        def eventFilter(self, watched: object, event: object) -> bool:
            heard.append(event)
            return event.key() == qt.Qt.Key_Escape  # type: ignore[attr-defined, no-any-return]

    watcher = Filter()
    slicer.util.mainWindow().installEventFilter(watcher)
    shortcut = qt.QShortcut(qt.QKeySequence("Esc"), slicer.util.mainWindow())
    shortcut.connect("activated()", lambda: heard.append("shortcut"))
    assert host.user.key("Escape")
    event, last = heard
    assert event.className() == "QEvent" and event.type() == qt.QEvent.ShortcutOverride  # type: ignore[attr-defined]
    assert last == "shortcut" and isinstance(host.escaped.pop(), AttributeError)


def test_the_focus_follows_the_user_and_is_told(host: Host, qt: ModuleType) -> None:
    button, heard = qt.QPushButton(slicer.util.mainWindow()), []
    slicer.app.connect("focusChanged(QWidget*,QWidget*)", lambda before, now: heard.append((before, now)))
    host.user.click(button)
    host.user.click(button)
    view = host.user.view("Red").sliceView()
    host.user.press("Red", (10, 10))
    assert slicer.app.mouseButtons() == qt.Qt.LeftButton
    host.user.release("Red", (10, 10))
    assert heard == [(None, button), (button, view)] and slicer.app.mouseButtons() == qt.Qt.NoButton


def test_choosing_emits_the_index_and_the_act(host: Host, qt: ModuleType) -> None:
    combo, heard = qt.QComboBox(), []
    combo.addItem("LiteMedSAM", "litemedsam")
    combo.addItem("MedSAM", "medsam")
    combo.connect("currentIndexChanged(int)", heard.append)
    combo.connect("activated(int)", heard.append)
    host.user.choose(combo, "MedSAM")
    assert heard == [1, 1]
    assert combo.itemData(combo.currentIndex) == "medsam"
    combo.enabled = False
    with pytest.raises(AssertionError, match="disabled"):
        host.user.choose(combo, "LiteMedSAM")


def test_node_selector_follows_the_real_scene(host: Host) -> None:
    selector, heard = slicer.qMRMLNodeComboBox(), []
    selector.nodeTypes = ["vtkMRMLMarkupsROINode"]
    selector.noneEnabled = True
    selector.setMRMLScene(slicer.mrmlScene)
    selector.connect("currentNodeChanged(vtkMRMLNode*)", heard.append)
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "R")
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode")
    assert selector.currentNode() is None
    selector.setCurrentNode(roi)
    slicer.mrmlScene.RemoveNode(roi)
    assert heard == [roi, None]


def test_ui_file_becomes_named_widgets_with_values_and_connections(host: Host, tmp_path: Path) -> None:
    file = tmp_path / "panel.ui"
    file.write_text(PANEL)
    ui = slicer.util.childWidgetVariables(slicer.util.loadUI(str(file)))
    assert ui.width.value == 350
    assert ui.width.maximum == 4000
    assert ui.hint.alignment == 0x21
    assert ui.hint.wordWrap
    assert ui.roi.parent() is ui.box
    ui.auto.checked = True
    assert not ui.width.enabled


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        ('name="wordWrap"', 'name="wordWarp"', "wordWarp"),
        ('class="qMRMLNodeComboBox"', 'class="qMRMLNodeCombo"', "qMRMLNodeCombo"),
        ("toggled(bool)", "toggled(int)", "toggled"),
        ("Qt::AlignTop", "Qt::AlignUp", "AlignUp"),
    ],
)
def test_a_mistake_in_a_ui_file_is_refused(host: Host, tmp_path: Path, right: str, wrong: str, complaint: str) -> None:
    file = tmp_path / "panel.ui"
    file.write_text(PANEL.replace(right, wrong))
    with pytest.raises((AttributeError, KeyError, ValueError), match=complaint):
        slicer.util.loadUI(str(file))


PANEL = """<?xml version="1.0" encoding="UTF-8"?>
<ui version="4.0">
 <class>Panel</class>
 <widget class="qMRMLWidget" name="Panel">
  <layout class="QVBoxLayout" name="top">
   <item><widget class="QLabel" name="hint">
     <property name="text"><string>Drag a rectangle.</string></property>
     <property name="wordWrap"><bool>true</bool></property>
     <property name="alignment"><set>Qt::AlignLeft|Qt::AlignTop</set></property>
   </widget></item>
   <item><widget class="ctkCollapsibleButton" name="box">
     <property name="text"><string>Advanced</string></property>
     <layout class="QFormLayout" name="form">
      <item row="0" column="0"><widget class="QCheckBox" name="auto"/></item>
      <item row="0" column="1"><widget class="QSpinBox" name="width">
        <property name="value"><number>350</number></property>
        <property name="maximum"><number>4000</number></property>
      </widget></item>
      <item row="1" column="1"><widget class="qMRMLNodeComboBox" name="roi">
        <property name="nodeTypes"><stringlist><string>vtkMRMLMarkupsROINode</string></stringlist></property>
      </widget></item>
     </layout>
   </widget></item>
  </layout>
 </widget>
 <connections>
  <connection><sender>auto</sender><signal>toggled(bool)</signal><receiver>width</receiver><slot>setDisabled(bool)</slot></connection>
 </connections>
</ui>
"""
