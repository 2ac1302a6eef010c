"""The command `neurogen`: parses, calls a command, and turns every failure into an exit code and a sentence.

0 done, 1 a defect of NeuroGen, 2 wrong usage, 3 input refused, 4 model missing or corrupt, 5 out of memory, 6 some
scans of a batch failed, 130 cancelled.
"""

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import neurogen
from neurogen.commands import batch, benchmark, brain_age, demo, detect, doctor, harmonize, models, train
from neurogen.console import Console, explain
from neurogen.environment import use_threads
from neurogen.errors import Cancelled, NeuroGenError

COMMANDS = (detect, harmonize, brain_age, batch, demo, train, benchmark, models, doctor)
EXIT_CODES = (
    "exit codes: 0 done, 2 wrong usage, 3 input refused, 4 model missing or corrupt, 5 out of memory, "
    "6 some scans of a batch failed, 130 cancelled"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    args = build_parser().parse_args(argv)
    _set_up_logging(verbose=args.verbose)
    use_threads(args.threads)
    console = Console(json_mode=args.json_progress)
    try:
        with _signals_cancel():
            return args.run(args, console)
    except BrokenPipeError:
        # Whoever read our output is gone; keep Python from failing again while it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Cancelled.exit_code
    except (Exception, KeyboardInterrupt) as error:
        return _fail(error, console, verbose=args.verbose)
    finally:
        console.close()


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; every command also takes the common options."""
    parser = argparse.ArgumentParser(
        prog="neurogen",
        description="Pseudo-healthy reconstruction and anomaly maps for brain MRI. Research use only. Not a diagnosis.",
        epilog=EXIT_CODES,
    )
    parser.add_argument("--version", action="version", version=f"neurogen {neurogen.__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(subparsers, _common_options())
    return parser


def _common_options() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False, epilog=EXIT_CODES)
    group = common.add_argument_group("common options")
    group.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to compute")
    group.add_argument("--threads", type=positive_integer, help="processor threads (default: all)")
    group.add_argument("--json-progress", action="store_true", help="JSON lines on stdout, messages on stderr")
    group.add_argument("--verbose", action="store_true", help="tell more on stderr")
    return common


def positive_integer(text: str) -> int:
    """An argparse type."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _fail(error: BaseException, console: Console, *, verbose: bool) -> int:
    console.close()
    known = explain(error)
    if known is None:
        logging.exception("This is a defect of NeuroGen; please report it with the lines below and `neurogen doctor`.")
        known = NeuroGenError(f"{type(error).__name__}: {error}")
    else:
        logging.error("%s", known, exc_info=error if verbose else None)
    console.event(error=str(known), exit_code=known.exit_code)
    return known.exit_code


@contextmanager
def _signals_cancel() -> Iterator[None]:
    """SIGINT and SIGTERM raise Cancelled, so that every `finally` cleans up; a second one ends the process at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)

    def cancel(number: int, frame: object) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_DFL)
        raise Cancelled("Cancelled.")

    before = {number: signal.signal(number, cancel) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _set_up_logging(*, verbose: bool) -> None:
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(stream=sys.stderr, level=level, format="%(levelname)s: %(message)s", force=True)
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").setLevel(logging.WARNING if verbose else logging.ERROR)
