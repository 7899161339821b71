"""The log: what it shows of errors, and that neither a patient's name nor a user's folder gets into it."""

from __future__ import annotations

import ast
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from MedSAMSlicerLib.engine.diagnostics import log
from MedSAMSlicerLib.engine.diagnostics.child_log import ChildLog, is_log_line
from MedSAMSlicerLib.engine.diagnostics.details import details, record_events
from MedSAMSlicerLib.engine.diagnostics.exception_text import without_paths
from MedSAMSlicerLib.engine.diagnostics.log import get_logger, log_error
from MedSAMSlicerLib.engine.errors import Cancelled, InputError, MedSAMError, WorkerError, as_user_error
from MedSAMSlicerLib.engine.intensity import choose_window
from MedSAMSlicerLib.engine.stack import ArrayStack
from support.recorded_events import forget_events

NAME = "Müller^Hans 19540312"
FOLDER = "/home/hans.mueller/CT"
LOGGER = get_logger("MedSAMSlicerLib.engine.test")


@pytest.fixture(autouse=True)
def _everything_is_logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "REPEAT_SECONDS", -1.0)
    caplog.set_level(logging.DEBUG, logger="MedSAMSlicer")


def caught(action: Callable[[], object]) -> Exception:
    try:
        action()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def refuse(name: str) -> None:
    raise InputError(f"volume '{name}' cannot be used: choose another one")


def convert(name: str) -> None:
    try:
        float(name)
    except ValueError as error:
        raise InputError(f"{name} is no number") from error


def no_private_text(text: str) -> bool:
    return not any(part in text for part in (NAME, "Müller", "19540312", "hans.mueller", FOLDER))


class TestRecordsOfErrors:
    @pytest.mark.parametrize(
        "action",
        [
            lambda: refuse(NAME),
            lambda: convert(NAME),
            lambda: Path(FOLDER, NAME).read_bytes(),
            lambda: {}[NAME],
            lambda: choose_window(NAME, ArrayStack(np.eye(9)[None].repeat(3, 0), (1, 1, 1), "K")),
            lambda: np.zeros(3).reshape(NAME),
            lambda: np.load(f"{FOLDER}/{NAME}.npy"),
            lambda: subprocess.run([f"{FOLDER}/{NAME}"], check=True),
        ],
        ids=["own message", "chained", "file", "key", "engine", "numpy", "numpy file", "program"],
    )
    def test_hold_the_kind_and_the_place_but_no_names(
        self, action: Callable[[], object], caplog: pytest.LogCaptureFixture
    ) -> None:
        error = caught(action)
        assert not no_private_text(str(error)) or isinstance(error, TypeError)
        LOGGER.warning("it failed: %s", error, exc_info=error)
        LOGGER.exception("again", exc_info=error, stack_info=True)
        assert no_private_text(caplog.text)
        assert type(error).__name__ in caplog.text
        assert "Traceback (most recent call last):" in caplog.text

    def test_show_the_statement_of_this_package_that_raised(self, caplog: pytest.LogCaptureFixture) -> None:
        stack = ArrayStack(np.eye(9)[None].repeat(3, 0), (1, 1, 1), "K")
        log_error(LOGGER, caught(lambda: choose_window("40,0", stack)), "no window")
        assert "MedSAMSlicerLib.engine.intensity, line" in caplog.text
        assert "window {wanted!r} has no usable width" in caplog.text
        assert "40,0" not in caplog.text

    def test_keep_messages_of_computations(self, caplog: pytest.LogCaptureFixture) -> None:
        log_error(LOGGER, caught(lambda: np.linalg.inv(np.zeros((3, 3)))), "no inverse")
        assert "numpy.linalg.LinAlgError: Singular matrix" in caplog.text
        assert caplog.records[-1].levelno == logging.ERROR

    def test_show_what_caused_them(self, caplog: pytest.LogCaptureFixture) -> None:
        error = as_user_error(caught(lambda: np.linalg.inv(np.zeros((3, 3)))))
        log_error(LOGGER, error, "inference failed")
        cause, effect = caplog.text.split("direct cause of the following exception")
        assert "Singular matrix" in cause and "WorkerError" in effect

    def test_come_once(self, caplog: pytest.LogCaptureFixture) -> None:
        error = caught(lambda: refuse(NAME))
        for _ in range(3):
            log_error(LOGGER, error, "it failed")
        assert len(caplog.records) == 1
        assert caplog.records[0].levelno == logging.WARNING
        log_error(LOGGER, Cancelled("cancelled"), "it failed")
        assert len(caplog.records) == 1

    def test_are_not_repeated_while_they_come_again_and_again(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(log, "REPEAT_SECONDS", 60.0)
        for _ in range(3):
            log_error(LOGGER, caught(lambda: refuse(NAME)), "preview failed")
        log_error(LOGGER, WorkerError("gone"), "the process ended")
        log_error(LOGGER, caught(lambda: refuse(NAME)), "preview failed")
        assert [record.getMessage() for record in caplog.records] == [
            "preview failed",
            "the process ended",
            "preview failed",
        ]

    def test_of_paths_among_the_arguments(self, caplog: pytest.LogCaptureFixture) -> None:
        LOGGER.info("read %s and %d more", Path(FOLDER, NAME), 3)
        LOGGER.info("read %(file)s", {"file": Path(FOLDER, NAME)})
        assert [record.getMessage() for record in caplog.records] == [
            "read <left out> and 3 more",
            "read <left out>",
        ]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (f"cannot open {FOLDER}/{NAME}/a.nrrd: no such file", "cannot open <left out>"),
        (f'cannot open "{FOLDER}/{NAME}/a.nrrd"', 'cannot open "<left out>'),
        (rf"C:\Users\hans.mueller\{NAME}.nrrd is damaged", "<left out>"),
        (rf"error in \\server\share\{NAME}", "error in <left out>"),
        (f"see file://{FOLDER}/{NAME}", "see <left out>"),
        (f"~/{NAME}/a.nrrd", "<left out>"),
        (f"found in CT/{NAME}.nrrd", "found in <left out>"),
        ("12.5 images/s and/or 3 / 4", "12.5 images/s and/or 3 / 4"),
        (
            '  File "/home/hans.mueller/lib/python3.11/site-packages/torch/nn/modules/module.py", line 3 in forward',
            '  File "torch/nn/modules/module.py", line 3 in forward',
        ),
        (
            f'  File "{FOLDER}/MedSAMSlicerLib/engine/stack.py", line 12, in __init__',
            '  File "MedSAMSlicerLib/engine/stack.py", line 12, in __init__',
        ),
        ('  File "/home/hans.mueller/mueller.py", line 1, in <module>', '  File "<left out>", line 1, in <module>'),
        (
            "/home/hans.mueller/python3.11/site-packages/torch/a.py:12: UserWarning: slow",
            "torch/a.py:12: UserWarning: slow",
        ),
    ],
)
def test_paths_are_left_out_of_printed_lines(line: str, shown: str) -> None:
    assert without_paths(line) == shown


class TestLogOfAChildProcess:
    def run(self, code: str) -> bytes:
        prepare = "from MedSAMSlicerLib.engine.diagnostics.child_log import log_to_stderr; log_to_stderr()\n"
        prepare += (
            "from MedSAMSlicerLib.engine.diagnostics.log import get_logger; log = get_logger('MedSAMSlicerLib.child')\n"
        )
        package = Path(log.__file__).parents[2]
        return subprocess.run(
            [sys.executable, "-c", prepare + code], cwd=package, capture_output=True, check=True
        ).stderr

    def test_arrives_with_levels_loggers_and_tracebacks(self, caplog: pytest.LogCaptureFixture) -> None:
        said = self.run(
            "log.info('loaded in %.1f s', 2)\n"
            "log.debug('not for the parent')\n"
            "try:\n    [][1]\nexcept IndexError:\n    log.exception('back\\\\slash\\nand line')\n"
            "import sys; print('driver: device lost', file=sys.stderr)"
        )
        assert len(said.splitlines()) == 3
        assert [is_log_line(line) for line in said.decode().splitlines()] == [True, True, False]
        child = ChildLog("MedSAMSlicerLib.engine.test", "inference process")
        for start in range(0, len(said), 7):
            child.feed(said[start : start + 7])
        child.close()
        found = [(record.name, record.levelname, record.getMessage()) for record in caplog.records]
        assert found == [
            ("MedSAMSlicer.child", "INFO", "loaded in 2.0 s"),
            ("MedSAMSlicer.child", "ERROR", "back\\slash"),
            ("MedSAMSlicer.engine.test", "WARNING", "inference process: driver: device lost"),
        ]
        lines = (caplog.records[1].exc_text or "").splitlines()
        assert lines[0] == "and line" and lines[1].startswith("Traceback") and lines[-1] == "IndexError"

    def test_holds_a_last_line_without_an_end_and_one_that_never_ends(self, caplog: pytest.LogCaptureFixture) -> None:
        child = ChildLog("MedSAMSlicerLib.engine.test", "job")
        child.feed(b"x" * 100_000)
        assert len(caplog.records) == 1 and len(caplog.text) < 1200
        child.feed("fatal: ü".encode()[:-1])
        child.close()
        child.close()
        assert [record.getMessage()[-8:] for record in caplog.records] == ["xxxxxxxx", "fatal: \ufffd"]


def test_records_do_not_show_where_the_package_is_installed(caplog: pytest.LogCaptureFixture) -> None:
    log_error(LOGGER, WorkerError("gone"), "the process ended")
    LOGGER.info("by a script elsewhere")
    assert [record.pathname for record in caplog.records] == ["MedSAMSlicerLib/engine/diagnostics/log.py", "<left out>"]


@pytest.fixture
def application_of_warnings() -> Iterator[None]:
    """The root logger lets warnings pass. Slicer's lets everything pass, but a script may have raised its level."""
    root, own = logging.getLogger(), logging.getLogger("MedSAMSlicer")
    levels = root.level, own.level
    root.setLevel(logging.WARNING)
    own.setLevel(logging.NOTSET)
    forget_events()
    yield
    root.setLevel(levels[0])
    own.setLevel(levels[1])


def test_recorded_events_reach_the_handlers_of_the_application(
    application_of_warnings: None, caplog: pytest.LogCaptureFixture
) -> None:
    LOGGER.info("too early")
    record_events()
    LOGGER.info("run begins")
    LOGGER.debug("left out")
    assert [record.getMessage() for record in caplog.records] == ["run begins"]


class TestDetails:
    def test_name_versions_computer_settings_run_and_error(self) -> None:
        record_events()
        run = get_logger(log.RUN_LOGGER)
        run.info("run begins: litemedsam on 3 slices")
        log_error(LOGGER, caught(lambda: refuse(NAME)), "preview failed")
        run.info("run finished: 3 slices in 1.50 s")
        text = details({"Device": "cpu"}, "3D Slicer 5.13.0")
        for part in (
            "MedSAMSlicer 0.", "in 3D Slicer 5.13.0", "Python 3.", "numpy ", "torch ", "openvino ", " cores",
            "Device: cpu", "run begins: litemedsam on 3 slices", "run finished: 3 slices in 1.50 s",
            "preview failed", "Traceback", "InputError",
        ):  # fmt: skip
            assert part in text
        assert no_private_text(text)

    def test_do_not_import_what_they_name(self) -> None:
        code = (
            "import sys; from MedSAMSlicerLib.engine.diagnostics.details import details; print(details({}));"
            "assert not {'torch', 'numpy', 'openvino', 'scipy'} & sys.modules.keys(), sys.modules.keys()"
        )
        subprocess.run([sys.executable, "-c", code], cwd=Path(log.__file__).parents[2], check=True, capture_output=True)

    def test_events_are_recorded_once_however_often_it_is_asked_for(self) -> None:
        assert record_events() is record_events()


def test_without_an_application_that_logs_nothing_is_printed() -> None:
    code = (
        "from MedSAMSlicerLib.engine.diagnostics.log import get_logger, log_error\n"
        "log = get_logger('MedSAMSlicerLib.x'); log.warning('warning'); log_error(log, ValueError(), 'failed')"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(log.__file__).parents[2], check=True, capture_output=True
    )
    assert ran.stdout + ran.stderr == b""


def test_an_error_that_was_pickled_is_still_known_to_be_logged() -> None:
    import copy

    error = InputError("x")
    log_error(LOGGER, error, "failed")
    copied = copy.copy(error)  # by what pickle uses
    assert isinstance(copied, MedSAMError) and copied.logged


def test_every_logger_of_the_package_is_made_by_get_logger(repository: Path) -> None:
    """Another one would let tracebacks with names pass."""
    library = repository / "MedSAMSlicer" / "MedSAMSlicerLib"
    own = {library / "engine" / "diagnostics" / name for name in ("log.py", "child_log.py", "details.py")}
    own.add(library / "cli" / "log_options.py")
    wrong = []
    for file in sorted({*library.rglob("*.py"), library.parent / "MedSAMSlicer.py"} - own):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node) in ("logging.getLogger", "logging.basicConfig"):
                wrong.append(f"{file.name}:{node.lineno}")
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith(("logging.", "traceback.print")):
                wrong.append(f"{file.name}:{node.lineno}")
    assert wrong == []
