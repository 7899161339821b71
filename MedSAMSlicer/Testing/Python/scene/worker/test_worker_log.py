"""Log records of the inference process and of runs."""

from __future__ import annotations

import logging
import os
import signal

import pytest

from MedSAMSlicerLib.engine.diagnostics import log
from MedSAMSlicerLib.engine.environment import DEFAULT_MODEL
from MedSAMSlicerLib.engine.model_choice import ModelChoice
from support.in_process_client import InProcessClient
from support.threshold_service import ThresholdService, noise_stack
from support.worker_runs import PROMPT, CallbackRecorder, WorkerClientFactory, drive, process_of, run

RUN = "MedSAMSlicer.run"


@pytest.fixture(autouse=True)
def _everything_is_logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "REPEAT_SECONDS", -1.0)
    caplog.set_level(logging.DEBUG, logger="MedSAMSlicer")


def messages(caplog: pytest.LogCaptureFixture, level: int = logging.DEBUG) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= level]


@pytest.mark.parametrize("where", ["worker", "this process"])
def test_a_run_is_logged_with_its_size_its_model_and_its_cost(
    make_worker_client: WorkerClientFactory, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    run(make_worker_client() if where == "worker" else InProcessClient(ThresholdService()), noise_stack())
    begin, end = (record.getMessage() for record in caplog.records if record.name == RUN)
    stack = "8 slices of 20 x 30 pixels, spacing 3 x 0.8 x 0.7 mm"
    assert begin == f"run begins: {DEFAULT_MODEL} on {stack}; key slices: 1; extent: slices 1 to 6"
    assert end.startswith(f"run finished: {DEFAULT_MODEL} on cpu with test; {stack}; 6 slices in ")
    assert " s, the first after " in end
    assert end.endswith("s, 0 calls; decoder 1.50 s, 6 calls)")


@pytest.mark.parametrize("where", ["worker", "this process"])
def test_cancelled_and_failed_runs_are_logged(
    make_worker_client: WorkerClientFactory, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    one = make_worker_client("SlowService") if where == "worker" else InProcessClient(ThresholdService())
    run(one, noise_stack(), on_slice=lambda _: one.cancel())
    assert messages(caplog)[-1].startswith("run cancelled: 8 slices")
    run(one, noise_stack(), choice=ModelChoice("no-such-model"))
    assert any(text.startswith("run begins: an unknown model") for text in messages(caplog))
    assert any(text.startswith("run failed: 8 slices") for text in messages(caplog))
    [failure] = [record for record in caplog.records if record.exc_text]
    assert failure.levelno == logging.WARNING
    assert failure.exc_text is not None and failure.exc_text.endswith("InputError")
    assert "no-such-model" not in caplog.text.replace('choice.model == "no-such-model"', "")


def test_the_traceback_of_a_defect_in_the_engine_is_logged(
    make_worker_client: WorkerClientFactory, caplog: pytest.LogCaptureFixture
) -> None:
    run(make_worker_client("RaisingService"), noise_stack(signal_on=5))
    [failure] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert failure.name == "MedSAMSlicer.engine.serving.worker"
    assert failure.exc_text is not None
    assert "in compute" in failure.exc_text and "ValueError" in failure.exc_text and "WorkerError" in failure.exc_text


def test_output_of_libraries_is_logged_line_by_line_and_the_end_of_the_process_as_an_error(
    make_worker_client: WorkerClientFactory, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = run(make_worker_client("CrashingService"), noise_stack(signal_on=5))
    assert messages(caplog, logging.WARNING) == [
        "inference process: driver: device lost",
        "inference process:   at some address",
        "inference process: fatal: giving up",
        "inference process ended unexpectedly with status 3",
    ]
    assert "driver: device lost | fatal: giving up" in str(recorder.error)


def test_a_crash_leaves_the_traceback_of_the_process(
    make_worker_client: WorkerClientFactory, caplog: pytest.LogCaptureFixture
) -> None:
    one, recorder = make_worker_client("UninterruptibleService"), CallbackRecorder()
    stack = noise_stack(signal_on=5)
    one.segment(ModelChoice(), stack, PROMPT, recorder.listener())
    drive(one, lambda: stack.read == [4, 5])
    os.kill(process_of(one), signal.SIGSEGV)
    drive(one, lambda: recorder.over)
    assert "inference process ended unexpectedly with status -11" in messages(caplog, logging.ERROR)
    assert any("Segmentation fault" in text for text in messages(caplog))
    assert any("MedSAMSlicerLib/engine/serving/worker.py" in text for text in messages(caplog))
    assert "Extension modules" not in str(recorder.error) and "most recent call" not in str(recorder.error)


def test_an_error_of_the_process_is_logged_only_there(
    make_worker_client: WorkerClientFactory, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = run(make_worker_client(), noise_stack(), choice=ModelChoice(weights="/home/hans.mueller/Hans.pth"))
    assert recorder.error.logged
    assert [record.name for record in caplog.records if record.exc_text] == ["MedSAMSlicer.engine.serving.worker"]
    assert "mueller" not in caplog.text and "Hans" not in caplog.text
