"""`neurogen batch`: a command on many scans, each in a process of its own; a table of results and failures."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from neurogen.batch.inputs import find_scans
from neurogen.batch.jobs import COMMANDS, BatchCommand, Scan, is_done, read_summary
from neurogen.batch.runner import Ended, run_scans
from neurogen.batch.table import DONE, FAILED, NOT_RUN, SKIPPED, TABLE, Line, Table
from neurogen.commands import brain_age, detect, harmonize
from neurogen.console import Console
from neurogen.errors import Cancelled, InputRefused, ModelUnavailable, SomeFailed, UsageError
from neurogen.outputs import check_destination, discard_part

MODULES = {"detect": detect, "harmonize": harmonize, "brain-age": brain_age}
# What a command declares and the batch decides for each scan.
DECIDED = ("inputs", "--out", "--overwrite", "--mask", "--masks")


class OptionsOnly(argparse.ArgumentParser):
    """Takes over the options that a command declares, without those that the batch decides; remembers the rest."""

    def __init__(self, *args, **settings) -> None:
        self.taken: list[argparse.Action] = []
        super().__init__(*args, **settings)

    def add_argument(self, *names, **settings):
        if names[0] in DECIDED:
            return None
        action = super().add_argument(*names, **settings)
        self.taken.append(action)
        return action


def add_parser(subparsers, common: argparse.ArgumentParser) -> None:
    parser = subparsers.add_parser(
        "batch",
        epilog=common.epilog,
        help="run a command on many scans",
        description="Run a command on every scan of a folder, a BIDS data set or a list. A scan that fails does not "
        f"stop the others. DIR/{TABLE} tells what became of each. Research use only. Not a diagnosis.",
    )
    commands = parser.add_subparsers(dest="job", required=True, metavar="COMMAND", parser_class=OptionsOnly)
    for name, module in MODULES.items():
        _add_command(commands, name, module, common)


def _add_command(commands, name: str, module: ModuleType, common: argparse.ArgumentParser) -> None:
    module.add_parser(commands, common)
    parser = commands.choices[name]
    forwarded = tuple(action for action in parser.taken if action.option_strings and action.dest != "help")
    group = parser.add_argument_group("options of the batch")
    group.add_argument("--input", required=True, type=Path, help="a folder, a BIDS data set, a list (.csv) or a scan")
    group.add_argument("--output", required=True, type=Path, metavar="DIR", help=f"a folder for each scan, and {TABLE}")
    existing = group.add_mutually_exclusive_group()
    existing.add_argument("--skip-existing", action="store_true", help="leave out scans that have results")
    existing.add_argument("--overwrite", action="store_true", help="replace earlier results")
    group.add_argument("--jobs", type=int, default=1, metavar="N", help="scans at once (default: 1); each needs memory")
    group.add_argument("--python", default=sys.executable, metavar="FILE", help=argparse.SUPPRESS)
    parser.set_defaults(run=run, job=name, forwarded=forwarded)


def run(args: argparse.Namespace, console: Console) -> int:
    """Run the batch; SomeFailed when a scan could not be done, ModelUnavailable when none could."""
    if args.jobs < 1:
        raise UsageError(f"--jobs {args.jobs}: at least one scan has to run at once.")
    command = COMMANDS[args.job]
    scans = find_scans(args.input, command, output=args.output)
    batch = Batch(args, command, scans, console)
    batch.check()
    batch.work()
    return batch.conclude()


class Batch:
    """One run of `neurogen batch`: the lines of the table, renewed whenever a scan ends."""

    def __init__(self, args: argparse.Namespace, command: BatchCommand, scans: list[Scan], console: Console) -> None:
        self._args, self._command, self._console = args, command, console
        self._out: Path = args.output
        self._lines = {scan: Line(scan.name, scan.path, self._out / scan.name) for scan in scans}
        self._table = Table(self._out / TABLE, command.columns)
        self._options = [*_given(args), *_common(args)]

    def check(self) -> None:
        """Before any work: wrong options, results that are there already, a folder that cannot be written."""
        from neurogen.cli import build_parser

        age = getattr(self._args, "age", None)
        if age is not None and not Path(age).is_file():
            raise UsageError(f"--age {age}: in a batch, ages come from a table of all scans. Give its path.")
        for scan in self._lines:
            build_parser().parse_args(self._words(scan))
        if self._out.exists() and not self._out.is_dir():
            raise UsageError(f"{self._out} is a file, but --output needs a folder. Choose another path.")
        for line in self._lines.values():
            if not (self._args.skip_existing and is_done(line.results, self._command)):
                self._check_free(line.results)

    def work(self) -> None:
        """Run what is not done yet; the table is true whatever ends this."""
        self._out.mkdir(parents=True, exist_ok=True)
        for scan, line in self._lines.items():
            if self._args.skip_existing and is_done(line.results, self._command):
                self._finish(scan, SKIPPED)
        self._table.write(list(self._lines.values()))
        waiting = [scan for scan, line in self._lines.items() if line.status == NOT_RUN]
        try:
            run_scans(
                waiting,
                self._words,
                python=self._args.python,
                jobs=self._args.jobs,
                progress=self._console.progress,
                ended=self._ended,
            )
        except Cancelled as error:
            raise Cancelled(f"Cancelled; {self._counts()}. --skip-existing goes on from here.") from error
        finally:
            for scan in waiting:
                if self._lines[scan].status != DONE:
                    discard_part(self._lines[scan].results)
            self._table.write(list(self._lines.values()))

    def conclude(self) -> int:
        """The exit code of the batch."""
        self._console.say(f"{self._counts()}. See {self._table.path}.")
        self._console.event(table=str(self._table.path), **self._count_by_status())
        failed = [line for line in self._lines.values() if line.status == FAILED]
        missing = [line for line in failed if line.exit_code == ModelUnavailable.exit_code]
        if missing:
            raise ModelUnavailable(missing[0].message)
        if failed:
            raise SomeFailed(f"{len(failed)} of {len(self._lines)} scans could not be done. See {self._table.path}.")
        return 0

    def _words(self, scan: Scan) -> list[str]:
        """The command line of one scan."""
        replace = ["--overwrite"] if self._args.overwrite else []
        out = str(self._out / scan.name)
        return [self._args.job, str(scan.path), "--out", out, *self._options, *replace, *scan.options]

    def _check_free(self, folder: Path) -> None:
        try:
            check_destination(folder, self._command.record, overwrite=self._args.overwrite)
        except UsageError as error:
            if not is_done(folder, self._command):
                raise
            raise UsageError(
                f"{folder} holds results already. Keep such results by --skip-existing, or replace them by --overwrite."
            ) from error

    def _ended(self, ended: Ended) -> None:
        if ended.exit_code == 0:
            self._finish(ended.scan, DONE, exit_code=0, seconds=ended.seconds)
        else:
            self._fail(ended.scan, ended.exit_code, ended.message, ended.seconds)
        self._table.write(list(self._lines.values()))

    def _finish(self, scan: Scan, status: str, **facts) -> None:
        line = self._lines[scan]
        try:
            values, warnings = read_summary(line.results, self._command)
        except InputRefused as error:
            self._fail(scan, error.exit_code, str(error), facts.get("seconds"))
            return
        self._tell(scan, Line(scan.name, scan.path, line.results, status, message=warnings, values=values, **facts))

    def _fail(self, scan: Scan, exit_code: int, message: str, seconds: float | None) -> None:
        discard_part(self._lines[scan].results)
        facts = {"exit_code": exit_code, "seconds": seconds, "message": " ".join(message.split())}
        self._tell(scan, Line(scan.name, scan.path, self._lines[scan].results, FAILED, **facts))

    def _tell(self, scan: Scan, line: Line) -> None:
        self._lines[scan] = line
        values = ", ".join(f"{name} {value}" for name, value in line.values.items() if value != "")
        took = "" if line.seconds is None else f" ({line.seconds:.0f} s)"
        if line.status == FAILED:
            self._console.close()
            logging.error("%s: %s", line.name, line.message)
            self._console.event(scan=str(line.scan), error=line.message, exit_code=line.exit_code)
        else:
            self._console.say(f"{line.name}: {line.status}{took}; {values}")
            self._console.event(scan=str(line.scan), result=str(line.results), status=line.status, **line.values)

    def _count_by_status(self) -> dict[str, int]:
        statuses = [line.status for line in self._lines.values()]
        return {status.replace(" ", "_"): statuses.count(status) for status in (DONE, SKIPPED, FAILED, NOT_RUN)}

    def _counts(self) -> str:
        counts = self._count_by_status()
        return ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in counts.items() if count)


def _given(args: argparse.Namespace) -> list[str]:
    """The options of the command that differ from their defaults, as words again."""
    words: list[str] = []
    for action in args.forwarded:
        value = getattr(args, action.dest)
        if value == action.default:
            continue
        words.append(action.option_strings[-1])
        if action.nargs != 0:
            words += [str(item) for item in (value if isinstance(value, list) else [value])]
    return words


def _common(args: argparse.Namespace) -> Sequence[str]:
    """Device and threads: scans that run at once share the processors."""
    threads = args.threads or (max((os.cpu_count() or 1) // args.jobs, 1) if args.jobs > 1 else None)
    return ["--device", args.device, *(["--threads", str(threads)] if threads else [])]
