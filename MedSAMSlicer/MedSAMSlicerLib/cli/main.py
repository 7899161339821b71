"""The command ``medsam-slicer``. Heavy packages are imported by the subcommand that needs them."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from .. import __version__
from ..engine.environment import share_processor
from ..engine.errors import Cancelled, InputError, MedSAMError, as_user_error
from ..engine.log import get_logger, log_error
from .console import complain, prepare_output, say
from .log_options import add_log_options, logging_to

DEBUG_VARIABLE = "MEDSAM_SLICER_DEBUG"
# Options whose one value may begin with a minus sign, which argparse would take for an option.
_MAY_BE_NEGATIVE = ("--window", "--key", "--point")
_log = get_logger(__name__)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as every other error of the command does."""

    def __init__(self, **options: Any) -> None:
        # A script that abbreviates an option would break when a longer option with the same beginning comes.
        super().__init__(**{"allow_abbrev": False, **options})

    def print_help(self, file: object = None) -> None:
        """Print it as everything else is printed; `file` is there for argparse."""
        say(self.format_help().rstrip())

    def parse_known_args(self, *arguments: Any, **options: Any) -> tuple[argparse.Namespace, list[str]]:  # type: ignore[override]
        """As argparse's, but what is unknown is refused here: only this parser knows whose help tells more."""
        found, unknown = super().parse_known_args(*arguments, **options)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see '{self.prog} --help'")


def build_parser() -> argparse.ArgumentParser:
    """The command line, without running anything."""
    parser = _Parser(
        prog="medsam-slicer",
        description="Contours tumours and organs in volumes with MedSAM.",
        epilog="Exit status: 0; 2 wrong input; 3 weights missing or not matching their checksum; 130 interrupted; "
        f"1 anything else. ${DEBUG_VARIABLE}=1 does what --verbose does.",
    )
    parser.set_defaults(verbose=False, log=None)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_segment(commands.add_parser("segment", help="one object in one image", description=_SEGMENT))
    _add_evaluate(commands.add_parser("evaluate", help="agreement with the truth on a table of cases"))
    _add_models(commands.add_parser("models", help="which models are there; import, verify, download or measure them"))
    return parser


_SEGMENT = (
    "Contours one object in a NRRD, NIfTI or MetaImage file, or in a folder with one DICOM series. "
    "Voxel indices count from 0 in the image's own index order; ranges include both ends."
)

_WINDOW = "auto, a CT window (soft-tissue, lung, mediastinum, brain, bone, liver), or LEVEL,WIDTH"


def _add_segment(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE", help="file, or folder with one DICOM series")
    parser.add_argument("--output", required=True, metavar="OUT", help=".seg.nrrd, or a labelmap: .nrrd, .nii.gz, .mha")
    prompt = parser.add_argument_group("prompt, one of")
    prompt.add_argument(
        "--box", nargs=6, type=int, metavar=("I0", "I1", "J0", "J1", "K0", "K1"), help="3D box in voxel indices"
    )
    prompt.add_argument("--roi", metavar="FILE.mrk.json", help="a Slicer Markups ROI, any rotation")
    prompt.add_argument(
        "--slice", type=int, metavar="N", help="slice that --rect, --point and --mask are for; the extent is found"
    )
    prompt.add_argument(
        "--rect",
        nargs=4,
        type=int,
        metavar=("A0", "A1", "B0", "B1"),
        help="rectangle on that slice: A and B are the two other axes in the order I, J, K",
    )
    prompt.add_argument(
        "--key", action="append", default=[], metavar="N:A0,A1,B0,B1", help="a rectangle on a further slice; repeatable"
    )
    prompt.add_argument(
        "--point",
        action="append",
        default=[],
        metavar="[N:]A,B,+",
        help="a point in (+) or outside (-) the object, on --slice or on slice N; repeatable; for models that take points",
    )
    prompt.add_argument(
        "--mask",
        metavar="FILE",
        help="labelmap on the image's grid, whose part on --slice is a first guess; for models that take masks",
    )
    options = parser.add_argument_group("options")
    options.add_argument(
        "--axis",
        type=str.upper,
        help="I, J or K: direction of propagation (default: the coarsest spacing; a tie: nearest to superior-inferior)",
    )
    options.add_argument("--model", default="litemedsam", metavar="KEY", help="see 'medsam-slicer models'")
    options.add_argument("--weights", metavar="FILE", help="weights file to use instead of the one that is found")
    options.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    options.add_argument("--runtime", default="auto", help="auto, torch or openvino")
    options.add_argument("--window", default="auto", help=_WINDOW)
    options.add_argument("--segment-name", default="Segment", metavar="TEXT", help="name of the segment in .seg.nrrd")
    options.add_argument("--report", metavar="REPORT.json", help="what was done, slice by slice")
    options.add_argument("--preview", metavar="PREVIEW.png", help="picture of image, prompt and result")
    options.add_argument(
        "--consensus",
        type=int,
        default=0,
        metavar="N",
        help="ask N slightly different rectangles on every slice that the model is asked about, and report where they disagree",
    )
    options.add_argument(
        "--keep-embeddings",
        type=int,
        metavar="MB",
        help="keep encoded slices in so many megabytes of the cache folder: a later run on the same slices encodes "
        "nothing (default: $MEDSAM_SLICER_EMBEDDINGS_DISK_MB, or 0: they stay in memory and go with the run)",
    )
    options.add_argument("--quiet", action="store_true", help="no progress bar, no summary")
    add_log_options(parser)


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("cases", metavar="CASES.csv", help="columns id,modality,image,label,value,axis,window")
    parser.add_argument("--prompt", required=True, metavar="KIND", help="box3d, midslice, keyslices:N or keyslices:all")
    parser.add_argument("--output", required=True, metavar="RESULTS.csv", help="one line for each case")
    parser.add_argument("--method", default="ours", help="ours, or reference: the authors' own 3D algorithm")
    parser.add_argument("--jitter", type=int, default=0, metavar="PX", help="move each box edge by up to PX pixels")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the jitter")
    parser.add_argument("--model", default="litemedsam", metavar="KEY", help="see 'medsam-slicer models'")
    parser.add_argument("--weights", metavar="FILE", help="weights file to use instead of the one that is found")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--runtime", default="auto", help="auto, torch or openvino")
    parser.add_argument("--slices", metavar="SLICES.csv", help="also write one line for each slice")
    parser.add_argument(
        "--plots",
        metavar="DIR",
        help="folder for plots, made if it is not there: agreement per modality, DSC by confidence",
    )
    parser.add_argument("--processes", type=int, metavar="N", help="cases that run side by side (default: one a core)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar, no table")
    add_log_options(parser)


def _add_models(parser: argparse.ArgumentParser) -> None:
    add_log_options(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    actions.add_parser("list", help="models, whether their weights are here, and what was measured (the default)")
    measuring = actions.add_parser("measure", help="time one slice with each model whose weights are here")
    measuring.add_argument("key", nargs="?", metavar="KEY", help="this model only")
    measuring.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    measuring.add_argument("--runtime", default="auto", help="auto, torch or openvino")
    actions.add_parser("verify", help="compute the checksums of all weights that are here")
    importing = actions.add_parser("import", help="copy a weights file into the cache folder")
    importing.add_argument("file", metavar="FILE")
    importing.add_argument("--as", dest="key", required=True, metavar="KEY", help="the model that the file belongs to")
    importing.add_argument(
        "--own",
        action="store_true",
        help="a checkpoint of your own: only its network is checked, its checksum recorded",
    )
    download = actions.add_parser("download", help="download the weights of a model into the cache folder")
    download.add_argument("key", metavar="KEY")
    for action in actions.choices.values():
        add_log_options(action)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status: 0; 2 wrong input; 3 weights; 130 interrupted; 1 anything else."""
    prepare_output()
    share_processor()
    failure: MedSAMError | None = None
    with _interrupted_once():
        try:
            options = build_parser().parse_args(_with_negative_values(sys.argv[1:] if arguments is None else arguments))
            with _logged(options):
                _run(options)
        except KeyboardInterrupt:
            failure = Cancelled("interrupted; nothing was written")
        except Exception as error:
            failure = as_user_error(error)
    if failure is None:
        return 0
    complain(failure)
    return failure.exit_status


@contextmanager
def _logged(options: argparse.Namespace) -> Iterator[None]:
    """Log what happens within, as the options say. Raises InputError if the log cannot be written."""
    options.verbose = options.verbose or bool(os.environ.get(DEBUG_VARIABLE))
    with logging_to(options.verbose, options.log):
        _log.info("command %s begins", options.command)
        begin = time.monotonic()
        try:
            yield
        except Exception as error:
            log_error(_log, as_user_error(error), "command %s failed", options.command)
            raise
        finally:
            _log.info("command %s ended after %.2f s", options.command, time.monotonic() - begin)


def _run(options: argparse.Namespace) -> None:
    if options.command == "segment":
        from .segment import run_segment

        run_segment(options)
    elif options.command == "evaluate":
        from .evaluate import run_evaluate

        run_evaluate(options)
    else:
        from .models import run_models

        run_models(options)


def _with_negative_values(arguments: Sequence[str]) -> list[str]:
    """``--window -600,1500`` as ``--window=-600,1500``."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] in _MAY_BE_NEGATIVE and re.match(r"-[\d.]", argument):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


@contextmanager
def _interrupted_once() -> Iterator[None]:
    """The first Ctrl-C ends the run; further ones do not disturb the cleaning up, nor Python while it exits."""
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return

    def interrupt(*_: object) -> NoReturn:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is interrupt:
            signal.signal(signal.SIGINT, signal.default_int_handler)


if __name__ == "__main__":
    sys.exit(main())
