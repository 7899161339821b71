"""Small families for the processes that cases are run in, where nothing of a test's own process is known."""

from __future__ import annotations

from MedSAMSlicerLib.engine.inference.predictor import Predictor
from MedSAMSlicerLib.engine.model_choice import LoadedModel, ModelChoice
from MedSAMSlicerLib.engine.runtimes.torch_runtime import TorchRuntime
from support.seeded_weights import fill_with_seeded_weights
from support.small_families import SMALL_FAMILIES


def load_small(choice: ModelChoice) -> tuple[Predictor, LoadedModel]:
    """The family of `choice.model`, small and with weights made by a rule, on the processor."""
    family = SMALL_FAMILIES[choice.model]
    network = family.build_network().eval().requires_grad_(False)
    fill_with_seeded_weights(network)
    loaded = LoadedModel(choice.model, "0" * 64, "cpu", "torch")
    return Predictor(family, TorchRuntime(network, "cpu"), f"small {choice.model}"), loaded
