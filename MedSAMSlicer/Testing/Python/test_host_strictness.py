"""The host's doubles refuse what a running Slicer lacks, and do what it does."""

from __future__ import annotations

import gc
import sys
from types import ModuleType
from typing import Any

import pytest
import slicer

from host.application import Host
from host.facts import facts_of, names

pytest_plugins = ["host.fixture"]


@pytest.fixture
def qt(host: Host) -> ModuleType:
    return sys.modules["qt"]


def test_every_class_that_slicer_lists_has_a_double(host: Host) -> None:
    import ctk
    import qt

    for module, groups in ((qt, ["qt"]), (ctk, ["ctk"]), (slicer, ["slicer", "effects"])):
        for name in names(*groups):
            assert getattr(module, name).__name__ == name


def test_names_that_slicer_lacks_are_refused(qt: ModuleType) -> None:
    with pytest.raises(AttributeError, match="QPushButtn"):
        qt.QPushButtn  # noqa: B018
    with pytest.raises(AttributeError, match="qMRMLNodeCombobox"):
        slicer.qMRMLNodeCombobox  # noqa: B018
    with pytest.raises(AttributeError, match="YesPlease"):
        qt.QMessageBox.YesPlease  # noqa: B018
    button = qt.QPushButton("Apply")
    with pytest.raises(AttributeError, match="setTxt"):
        button.setTxt("x")
    with pytest.raises(AttributeError, match="no property 'txt'"):
        button.txt = "x"
    with pytest.raises(AttributeError, match="clickd"):
        button.clickd.connect(print)


def test_properties_are_attributes_and_calling_one_fails(qt: ModuleType) -> None:
    button = qt.QPushButton("Apply")
    assert button.text == "Apply"
    with pytest.raises(TypeError, match="not callable"):
        button.text()
    with pytest.raises(TypeError, match="not callable"):
        button.enabled()
    with pytest.raises(TypeError, match="not callable"):
        button.size()
    button.setText("Go")
    assert button.text == "Go"
    assert button.isEnabled()


def test_properties_take_only_values_of_their_type_and_only_if_writable(qt: ModuleType) -> None:
    with pytest.raises(AttributeError, match="QString does not accept 3"):
        qt.QLabel().text = 3
    with pytest.raises(AttributeError, match="does not accept 'wide'"):
        qt.QSpinBox().maximum = "wide"
    with pytest.raises(AttributeError, match="not writable"):
        qt.QComboBox().count = 2


def test_methods_and_signals_cannot_be_overwritten_except_in_python_subclasses(qt: ModuleType) -> None:
    button = qt.QPushButton()
    with pytest.raises(AttributeError):
        button.click = print
    with pytest.raises(AttributeError):
        button.clicked = print

    class Own(qt.QPushButton):
        def __init__(self) -> None:
            super().__init__("mine")
            self.note = 1

    assert (Own().note, Own().text) == (1, "mine")


def test_too_many_arguments_are_refused(qt: ModuleType) -> None:
    with pytest.raises(ValueError, match="got 1 arguments"):
        qt.QPushButton().click(True)
    with pytest.raises(ValueError, match="got 3 arguments"):
        qt.QComboBox().setCurrentIndex(1, 2, 3)
    with pytest.raises(TypeError):
        qt.QSpinBox().setRange(1)
    with pytest.raises(ValueError, match="no constructor"):
        qt.QPushButton(3.5, "x")
    with pytest.raises(TypeError):
        qt.QLabel(text="x")


def test_what_is_not_implemented_says_so_instead_of_making_an_answer_up(qt: ModuleType) -> None:
    with pytest.raises(NotImplementedError, match=r"QCalendar\.daysInMonth"):
        qt.QCalendar.daysInMonth(qt.QCalendar(), 2, 2026)
    with pytest.raises(NotImplementedError, match=r"QSpinBox\.stepBy"):
        qt.QSpinBox().stepBy(2)
    qt.QWidget().setMinimumSize(1, 2)  # looks only


@pytest.mark.parametrize("style", ["by name", "by attribute"])
def test_signals_fire_in_both_styles(qt: ModuleType, style: str) -> None:
    box, heard = qt.QCheckBox("show"), []
    if style == "by name":
        assert box.connect("toggled(bool)", heard.append)
    else:
        assert box.toggled.connect(heard.append)
    box.checked = True
    box.checked = True
    box.click()
    assert heard == [True, False]
    assert box.disconnect("toggled(bool)", heard.append) if style == "by name" else box.toggled.disconnect(heard.append)
    box.checked = True
    assert heard == [True, False]


def test_signals_with_wrong_names_or_arguments_are_refused(qt: ModuleType) -> None:
    button = qt.QPushButton()
    with pytest.raises(ValueError, match="no signal 'clicke'"):
        button.connect("clicke()", print)
    with pytest.raises(ValueError, match=r"no signature clicked\(int\)"):
        button.connect("clicked(int)", print)
    with pytest.raises(ValueError, match="lacks its arguments"):
        button.connect("clicked", print)
    with pytest.raises(ValueError, match="currentNodeChanged"):
        slicer.qMRMLNodeComboBox().connect("currentNodeChanged(QString)", print)


def test_a_slot_gets_as_many_arguments_as_it_takes(qt: ModuleType) -> None:
    button, heard = qt.QPushButton(), []
    button.clicked.connect(lambda: heard.append("none"))
    button.connect("clicked(bool)", lambda checked: heard.append(checked))
    button.connect("clicked()", lambda *everything: heard.append(everything))
    button.click()
    assert heard == ["none", False, ()]


def test_blocked_signals_do_not_fire(qt: ModuleType) -> None:
    box, heard = qt.QSpinBox(), []
    box.valueChanged.connect(heard.append)
    before = box.blockSignals(True)
    box.value = 5
    box.blockSignals(before)
    box.value = 1000
    assert heard == [99]


def test_an_exception_in_a_slot_does_not_reach_the_caller_but_is_kept(host: Host, qt: ModuleType) -> None:
    button = qt.QPushButton()
    button.clicked.connect(lambda: 1 / 0)
    button.click()
    assert [type(error) for error in host.escaped] == [ZeroDivisionError]
    host.escaped.clear()


def test_timers_step_with_the_clock(host: Host, qt: ModuleType) -> None:
    heard: list[Any] = []
    timer = qt.QTimer()
    timer.setInterval(30)
    timer.timeout.connect(lambda: heard.append(host.clock.now))
    timer.start()
    qt.QTimer.singleShot(45, lambda: heard.append("once"))
    host.clock.advance(29)
    assert heard == []
    host.clock.advance(70)
    assert heard == [30, "once", 60, 90]
    timer.stop()
    host.clock.advance(100)
    assert len(heard) == 4


def test_events_wait_until_they_are_processed(host: Host, qt: ModuleType) -> None:
    heard: list[str] = []

    def again() -> None:
        heard.append("shot")
        qt.QTimer.singleShot(0, again)

    qt.QTimer.singleShot(0, again)
    assert heard == []
    host.clock.process()
    assert heard == ["shot"]


def test_a_timer_that_nobody_holds_is_gone(host: Host, qt: ModuleType) -> None:
    heard: list[int] = []
    kept, parent = qt.QTimer(), qt.QWidget()
    for timer in (kept, qt.QTimer(), qt.QTimer(parent)):
        timer.start(10)
        timer.connect("timeout()", lambda: heard.append(1))
    del timer
    gc.collect()
    host.clock.advance(10)
    assert len(heard) == 2


def test_deleted_objects_are_dead_with_their_children(host: Host, qt: ModuleType) -> None:
    parent = qt.QWidget()
    label = qt.QLabel("inside", parent)
    parent.deleteLater()
    assert label.text == "inside"
    host.clock.process()
    with pytest.raises(ValueError, match="was deleted"):
        label.text  # noqa: B018
    with pytest.raises(ValueError, match="was deleted"):
        parent.children()


def test_enumerators_have_their_numbers_of_qt(qt: ModuleType) -> None:
    assert qt.QMessageBox.Ok | qt.QMessageBox.Cancel == 0x00400400
    assert qt.Qt.AlignLeft | qt.Qt.AlignTop == 0x21
    assert qt.Qt.Key_Escape == 0x01000000
    assert qt.QProcess.CrashExit == 1


def test_facts_name_what_each_class_inherits(host: Host) -> None:
    button = facts_of("QPushButton")
    assert button.lineage == ("QPushButton", "QAbstractButton", "QWidget", "QObject")
    assert button.methods["setObjectName"].most == 1
    assert button.signals["clicked"] == ("clicked(bool)", "clicked()")
    assert not button.member("name")


def test_nothing_is_left_behind() -> None:
    """Runs without the host, after tests with it."""
    assert not {"qt", "ctk", "SegmentEditorEffects"} & set(sys.modules)
    assert not hasattr(slicer, "app")
    assert not hasattr(slicer, "qMRMLNodeComboBox")
    assert slicer.util.pip_install.__module__ == "slicer.util"
