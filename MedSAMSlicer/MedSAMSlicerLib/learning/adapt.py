"""Adaptation of a model to contours that a department has drawn: encode, train, compare, judge, write."""

from __future__ import annotations

import dataclasses
import gc
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..engine.diagnostics.log import get_logger
from ..engine.environment import computing_threads
from ..engine.errors import InputError
from ..engine.inference.embedding_cache import EmbeddingCache
from ..engine.inference.predictor import Predictor, load_predictor
from ..engine.model_choice import LoadedModel, ModelChoice
from ..engine.models.adapter import AdapterMetadata, write_adapter
from ..engine.models.catalogue import CATALOGUE, find_model
from ..engine.models.checkpoints import NetworkFile
from ..engine.models.model_files import verified_files
from ..engine.models.weight_arrays import read_arrays
from ..engine.optional_packages import check_torch
from ..engine.propagation.adapted_settings import adapted_settings
from ..engine.propagation.settings import ConfidenceSettings, PropagationSettings
from ..evaluation.cases import Case
from ..evaluation.evaluate_case import CaseScore, Task, run_case
from ..evaluation.simulated_prompts import PromptKind
from ..io.output_files import Writer, cannot_write, write_together
from .calibration import calibrate, recalibrated
from .course import Course
from .description import describe
from .distillation import SureAnswers, read_answers, sure_answers, write_answers
from .judgement import Comparison, Verdict, judge
from .patients import Split, split_patients
from .report import Findings, write_report
from .samples import Sample, samples_of
from .settings import LearningSettings
from .stored_embeddings import StoredEmbeddings, StoredRuntime
from .work_folder import WorkFolder

Progress = Callable[[str, float], object]
"""Called with the name of a stage and the fraction of it that is done."""
BOX3D, MIDSLICE = PromptKind("box3d"), PromptKind("midslice")
# A case is decoded slice by slice, a few times each: embeddings are on the disk.
_CACHED_BYTES = 32 << 20
_log = get_logger(__name__)


@dataclass(frozen=True)
class Adaptation:
    """What is to be done.

    Attributes:
        cases: cases with their contours.
        output: file of the adapted model.
        report: file of the report.
        choice: model that learning begins with, and where it runs.
        title: name of the adapted model in the user interface.
        licence: its licence.
        settings: settings of learning.
        hold_back: whether patients are held back. Otherwise everything is learned from, and nothing is compared.
        keep_anyway: write the model even if it is not better.
        keep_work: keep the folder of the run.
    """

    cases: Sequence[Case]
    output: Path
    report: Path
    choice: ModelChoice
    title: str
    licence: str
    settings: LearningSettings = LearningSettings()
    hold_back: bool = True
    keep_anyway: bool = False
    keep_work: bool = False


@dataclass(frozen=True)
class Outcome:
    """What has become of it.

    Attributes:
        verdict: whether the model is better; None if nothing was compared.
        written: whether the model was written.
        warnings: what the user has to know, one line each.
        description: what the model says of itself.
    """

    verdict: Verdict | None
    written: bool
    warnings: list[str]
    description: str


def adapt(wanted: Adaptation, progress: Progress = lambda _stage, _done: None) -> Outcome:
    """Adapt a model. A run that was ended goes on where it was if it is called again with the same arguments.

    Raises:
        MissingPackage: PyTorch is not installed.
        InputError: there is one patient only, a case cannot be used, the model cannot be adapted, or an output cannot be
            written.
        WeightsError: weights are missing or wrong.
    """
    check_torch("adapting a model")
    spec = find_model(wanted.choice.model)
    if not spec.base_spec.takes_adapters:
        able = ", ".join(key for key, one in CATALOGUE.items() if one.base_spec.takes_adapters)
        raise InputError(f"{spec.title} cannot be adapted: choose --model {able}")
    if wanted.hold_back:
        split = split_patients(wanted.cases, wanted.settings.split, wanted.settings.seed)
    else:
        split = Split(list(wanted.cases))
    folder = WorkFolder(wanted.output)
    try:
        return _Run(wanted, split, folder, progress).outcome()
    except OSError as error:
        raise cannot_write(folder.path, error) from error


class _Run:
    """One adaptation."""

    def __init__(self, wanted: Adaptation, split: Split, folder: WorkFolder, progress: Progress) -> None:
        self._wanted, self._split, self._folder, self._progress = wanted, split, folder, progress
        self._settings = wanted.settings
        self._cost: list[str] = []
        self._network: NetworkFile = verified_files(find_model(wanted.choice.model), wanted.choice.weights)
        self._loaded: LoadedModel
        self._predictor, self._loaded = load_predictor(wanted.choice, EmbeddingCache(_CACHED_BYTES))
        runtime = self._predictor.runtime
        self._embeddings = StoredEmbeddings(
            folder.embeddings,
            f"{self._network.encoder_identity}|{runtime.name} {runtime.version} {runtime.device}",
            runtime.encode,
        )

    def outcome(self) -> Outcome:
        before = self._scores("Before", self._predictor)
        taught, watched = self._samples()
        if not taught:
            raise InputError(
                "no slice can be learned from: every object is smaller than a pixel of the network's input"
            )
        changes, course = self._train(taught, watched)
        if not self._wanted.hold_back:
            return self._finished(changes, None)
        confidence = self._propagation.confidence
        self._write_model(self._folder.candidate, changes, confidence, "")
        candidate = load_predictor(
            dataclasses.replace(self._wanted.choice, model=str(self._folder.candidate)), EmbeddingCache(_CACHED_BYTES)
        )[0]
        after = self._scores("After", candidate)
        return self._finished(changes, self._findings(before, after, course))

    # --- stages

    def _samples(self) -> tuple[list[Sample], list[Sample]]:
        with self._stage("Encoding"):
            cases = [*((case, None) for case in self._split.taught), *((case, 1) for case in self._split.watched)]
            taught: list[Sample] = []
            watched: list[Sample] = []
            variants = self._settings.samples.variants
            for number, (case, only) in enumerate(cases):
                expected = self._settings.samples.slices * (only or variants)
                found = samples_of(
                    case,
                    self._predictor,
                    self._embeddings,
                    self._settings.samples,
                    self._propagation,
                    self._settings.seed,
                    only,
                )
                for place, sample in enumerate(found):
                    if sample is not None and only is None:
                        self._answers_of(sample)
                    if sample is not None:
                        (taught if only is None else watched).append(sample)
                    self._progress("Encoding", (number + min(1.0, (place + 1) / expected)) / len(cases))
                self._progress("Encoding", (number + 1) / len(cases))
            return taught, watched

    def _answers_of(self, sample: Sample) -> SureAnswers:
        """The sure answers of the decoder before learning, from the folder if they are there."""
        settings, seed = self._settings.distillation, self._settings.seed
        told = f"{sample.key}|{self._loaded.weights_sha256}|{self._loaded.adapter_sha256}|{settings}|{seed}|"
        digest = hashlib.sha256(told.encode() + sample.truth.tobytes()).hexdigest()
        path = self._folder.answers / f"{digest}.npz"
        found = read_answers(path)
        if found is None:
            embedding = self._embeddings.load(sample.key)
            found = sure_answers(
                sample, embedding, self._predictor.family.input_size, self._predictor.runtime.decode, settings, seed
            )
            write_answers(path, found)
        return found

    def _train(self, taught: list[Sample], watched: list[Sample]) -> tuple[dict[str, np.ndarray], Course]:
        import torch

        from .training import Lessons, Training

        torch.set_num_threads(computing_threads())
        lessons = Lessons(taught, watched, self._embeddings.load, self._answers_of)
        with self._stage("Training"):
            training = Training(
                read_arrays(self._network),
                lessons,
                self._predictor.family,
                self._settings,
                self._folder.checkpoint,
                "cuda" if self._loaded.device == "cuda" else "cpu",
            )
            learned = training.run(lambda done: self._progress("Training", done))
        # Before the next model is loaded.
        del training
        gc.collect()
        return learned.changes, learned.course

    def _scores(self, stage: str, predictor: Predictor) -> dict[PromptKind, list[CaseScore]]:
        """Scores of the cases held back, for both kinds of prompt."""
        kinds = (BOX3D, MIDSLICE)
        found: dict[PromptKind, list[CaseScore]] = {kind: [] for kind in kinds}
        if not self._split.held_back:
            return found
        stored = self._stored(predictor)
        with self._stage(stage):
            total = len(kinds) * len(self._split.held_back)
            for number, (case, kind) in enumerate((case, kind) for case in self._split.held_back for kind in kinds):
                found[kind].append(run_case(case, Task(kind, choice=self._wanted.choice), stored))
                self._progress(stage, (number + 1) / total)
        return found

    def _stored(self, predictor: Predictor) -> Predictor:
        """The predictor, and its base if it has one, with the embeddings that are stored."""
        base = predictor.base
        return Predictor(
            predictor.family,
            StoredRuntime(self._embeddings, predictor.runtime),
            self._network.encoder_identity,
            predictor.cache,
            title=predictor.title,
            prompts=predictor.prompts,
            changed_settings=predictor.changed_settings,
            load_base=None if base is None else lambda: self._stored(base),
        )

    # --- results

    @property
    def _propagation(self) -> PropagationSettings:
        return adapted_settings(self._predictor.changed_settings)

    def _findings(
        self, before: dict[PromptKind, list[CaseScore]], after: dict[PromptKind, list[CaseScore]], course: Course
    ) -> Findings:
        settings, confidence = self._settings, self._propagation.confidence
        calibration = calibrate(after[BOX3D], after[MIDSLICE], confidence, settings.calibration)
        box3d, midslice = (
            Comparison(
                str(kind), before[kind], recalibrated(after[kind], kind is BOX3D, confidence, calibration.settings)
            )
            for kind in (BOX3D, MIDSLICE)
        )
        return Findings(
            title=self._wanted.title,
            started_from=self._network.spec.title,
            split=self._split,
            course=course,
            box3d=box3d,
            midslice=midslice,
            verdict=judge(box3d, midslice, settings.judgement),
            calibration=calibration,
            before=confidence,
            cost=self._cost,
            worst_cases=settings.judgement.worst_cases,
        )

    def _finished(self, changes: dict[str, np.ndarray], findings: Findings | None) -> Outcome:
        """Write the files, and remove the folder of the run."""
        wanted = self._wanted
        verdict = None if findings is None else findings.verdict
        kept = verdict is None or verdict.better or wanted.keep_anyway
        description = describe(self._split, self._network.spec.title, None if findings is None else findings.box3d)
        confidence = self._propagation.confidence if findings is None else findings.calibration.settings
        files: dict[str, Writer] = {}
        if kept:
            files[str(wanted.output)] = lambda path: self._write_model(path, changes, confidence, description)
        if findings is not None:
            files[str(wanted.report)] = lambda path: write_report(path, findings)
        write_together(files)
        if not wanted.keep_work:
            self._folder.remove()
        return Outcome(verdict, kept, self._split.warnings, description)

    def _write_model(
        self, path: Path, changes: dict[str, np.ndarray], confidence: ConfidenceSettings, description: str
    ) -> None:
        from .low_rank import adapter_tensors

        earlier = self._network.adapter
        default = dataclasses.asdict(ConfidenceSettings())
        metadata = AdapterMetadata(
            base=self._network.spec.base_spec.key,
            base_sha256=self._network.sha256,
            title=self._wanted.title,
            licence=self._wanted.licence,
            description=description,
            confidence={
                name: value for name, value in dataclasses.asdict(confidence).items() if value != default[name]
            },
            propagation=self._settings.propagation if earlier is None else earlier.metadata.propagation,
        )
        write_adapter(path, adapter_tensors(changes, {} if earlier is None else earlier.tensors), metadata)

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        """Report what a stage takes."""
        self._progress(name, 0.0)
        begin, processor = time.perf_counter(), time.process_time()
        yield
        seconds, busy = time.perf_counter() - begin, time.process_time() - processor
        self._cost.append(f"{name}: {seconds:.0f} s, {busy:.0f} s of processor time")
        _log.info("adaptation: %s took %.1f s, %.1f s of processor time", name, seconds, busy)
