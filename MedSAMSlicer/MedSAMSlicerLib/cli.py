"""The command ``medsam-slicer``. Heavy packages are imported by the subcommand that needs them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from . import __version__
from .engine.errors import Cancelled, InputError, MedSAMError


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as every other error of the command does."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see '{self.prog} --help'")


def build_parser() -> argparse.ArgumentParser:
    """The command line, without running anything."""
    parser = _Parser(prog="medsam-slicer", description="Contours tumours and organs in volumes with MedSAM.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_segment(commands.add_parser("segment", help="one object in one image", description=_SEGMENT))
    _add_models(commands.add_parser("models", help="which models are there; import, verify or download weights"))
    return parser


_SEGMENT = (
    "Contours one object in a NRRD, NIfTI or MetaImage file, or in a folder with one DICOM series. "
    "Voxel indices count from 0 in the image's own index order; ranges include both ends."
)


def _add_segment(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE", help="file, or folder with one DICOM series")
    parser.add_argument("--output", required=True, metavar="OUT", help=".seg.nrrd, or a labelmap: .nrrd, .nii.gz, .mha")
    prompt = parser.add_argument_group("prompt, one of")
    prompt.add_argument(
        "--box", nargs=6, type=int, metavar=("I0", "I1", "J0", "J1", "K0", "K1"), help="3D box in voxel indices"
    )
    prompt.add_argument("--roi", metavar="FILE.mrk.json", help="a Slicer Markups ROI, any rotation")
    prompt.add_argument("--slice", type=int, metavar="N", help="slice that --rect lies on; the extent is found")
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
    options = parser.add_argument_group("options")
    options.add_argument("--axis", help="I, J or K: direction of propagation (default: the coarsest spacing)")
    options.add_argument("--model", default="litemedsam", metavar="KEY", help="see 'medsam-slicer models'")
    options.add_argument("--weights", metavar="FILE", help="weights file to use instead of the one that is found")
    options.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    options.add_argument("--runtime", default="auto", help="auto or torch")
    options.add_argument("--window", default="auto", help="auto, the name of a CT window, or LEVEL,WIDTH")
    options.add_argument("--segment-name", default="Segment", metavar="TEXT", help="name of the segment in .seg.nrrd")
    options.add_argument("--report", metavar="REPORT.json", help="what was done, slice by slice")
    options.add_argument("--preview", metavar="PREVIEW.png", help="picture of image, prompt and result")
    options.add_argument("--quiet", action="store_true", help="no progress bar, no summary")


def _add_models(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    actions.add_parser("list", help="models, and whether their weights are here (the default)")
    actions.add_parser("verify", help="compute the checksums of all weights that are here")
    importing = actions.add_parser("import", help="copy a weights file into the cache folder")
    importing.add_argument("file", metavar="FILE")
    importing.add_argument("--as", dest="key", required=True, metavar="KEY", help="the model that the file belongs to")
    download = actions.add_parser("download", help="download the weights of a model into the cache folder")
    download.add_argument("key", metavar="KEY")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status: 0; 2 wrong input; 3 weights; 130 interrupted; 1 anything else."""
    try:
        options = build_parser().parse_args(arguments)
        if options.command == "segment":
            from .cli_segment import run_segment

            run_segment(options)
        else:
            from .cli_models import run_models

            run_models(options)
    except KeyboardInterrupt:
        return _fail(Cancelled("interrupted; nothing was written"))
    except MedSAMError as error:
        return _fail(error)
    except BrokenPipeError:
        # The reader of standard output has gone (for example `| head`); Python must not try to flush it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _fail(error: MedSAMError) -> int:
    print(f"medsam-slicer: {' '.join(str(error).split())}", file=sys.stderr)
    return error.exit_status


if __name__ == "__main__":
    sys.exit(main())
