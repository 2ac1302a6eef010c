"""Which scans a batch takes: from a list, a BIDS data set or any folder, each with a name that no other scan has.

The name of a scan follows from its own place alone, so that it stays the same when scans are added.
"""

import csv
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn

from neurogen.batch.ages import AgeTables
from neurogen.batch.jobs import BatchCommand, Scan
from neurogen.errors import InputRefused, UsageError

ENDINGS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
LISTS = (".csv", ".tsv")
AGES = "ages.tsv"
SCAN, NAME = "scan", "name"  # columns of a list; the command's own options are more
_DICOM_MARK = (128, b"DICM")
_FORBIDDEN = set('/\\:*?"<>|')


def find_scans(source: Path, command: BatchCommand, *, output: Path) -> list[Scan]:
    """The scans of `source`: a list (.csv, .tsv), one image, a BIDS data set, or a folder that is searched through.

    What lies below `output` is never taken. Raises InputRefused when there is nothing, UsageError for a wrong list and
    for scans whose results would go to one folder.
    """
    if not source.exists():
        raise InputRefused(f"There is no {source}. Give a folder of scans, a BIDS data set, or a list (.csv).")
    if source.is_file():
        scans = read_list(source, command) if source.suffix.lower() in LISTS else [Scan(source, _stem(source))]
    elif is_bids(source):
        scans = bids_scans(source, command)
    else:
        scans = folder_scans(source, command, output=output)
    _refuse_repeated(scans)
    return scans


def is_bids(folder: Path) -> bool:
    """A data set has a description of itself, or folders as BIDS lays them out."""
    return (folder / "dataset_description.json").is_file() or any(_anat_folders(folder))


def bids_scans(folder: Path, command: BatchCommand) -> list[Scan]:
    """Of every subject and session the scans of the preferred suffix; several runs are several scans.

    They are named after their entities, `sub-01_ses-2_run-1_T1w`. With an `--age` option, the age comes from the tables
    of the data set. Raises InputRefused when no subject has a scan.
    """
    ages = AgeTables(folder) if "age" in command.scan_options else None
    scans = []
    for anat in _anat_folders(folder):
        entities = anat.relative_to(folder).parts[:-1]
        for path in _preferred(_images(anat), command):
            age = ages.age_of(*entities) if ages else None
            options = () if age is None else (command.scan_options["age"], f"{age:g}")
            scans.append(Scan(path, _entity_name(path, entities), options))
    if not scans:
        wanted = " or ".join(f"*_{picture}.nii.gz" for picture in command.pictures)
        raise InputRefused(f"{folder} is a BIDS data set without {wanted} in sub-*/[ses-*/]anat.")
    return scans


def folder_scans(folder: Path, command: BatchCommand, *, output: Path) -> list[Scan]:
    """Every image of a folder and of those below; those of the wanted contrast alone where names tell contrasts.

    Named after their path, `group1/a.nii.gz` -> `group1_a`. A table `ages.tsv` there gives ages.
    Raises InputRefused when there is no image.
    """
    found = sorted(_walk(folder, output.resolve(), dicom=command.dicom))
    images = [path for path in found if path.is_file()]
    named = [path for path in images if any(picture.lower() in path.name.lower() for picture in command.pictures)]
    if named and len(named) < len(images):
        logging.warning(
            "%s: %d images with %s in their name are taken, %d others are left out.",
            *(folder, len(named), " or ".join(command.pictures), len(images) - len(named)),
        )
    chosen = set(named or images) | {path for path in found if path.is_dir()}
    if not chosen:
        raise InputRefused(f"{folder} holds no image ({', '.join(ENDINGS)}). Give another folder, or a list (.csv).")
    ages = folder / AGES
    options = ("--age", str(ages)) if "age" in command.scan_options and ages.is_file() else ()
    return [Scan(path, _path_name(path, folder), options) for path in found if path in chosen]


def read_list(path: Path, command: BatchCommand) -> list[Scan]:
    """A table with a column `scan`, and if wanted `name` and the command's own; paths are relative to the table.

    Separators are commas, semicolons or tabs. Raises UsageError with the line that is wrong.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream, delimiter=_separator(stream.readline(), stream)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} is not a text table in UTF-8 ({error}). Save it as CSV (UTF-8).") from error
    if not rows or SCAN not in rows[0]:
        raise UsageError(f"{path} needs a line of column names with `{SCAN}`, and a line for each scan.")
    unknown = set(filter(None, rows[0])) - {SCAN, NAME, *command.scan_options}
    if unknown:
        logging.warning("%s: the columns %s are not used.", path.name, ", ".join(sorted(unknown)))
    return [_listed(row, number, path, command) for number, row in enumerate(rows, start=2) if any(row.values())]


def _listed(row: Mapping[str, str], number: int, table: Path, command: BatchCommand) -> Scan:
    cells = {name: (row.get(name) or "").strip() for name in (SCAN, NAME, *command.scan_options)}
    if not cells[SCAN]:
        raise UsageError(f"{table}, line {number}: the column `{SCAN}` is empty.")
    scan = table.parent / cells[SCAN]
    name = cells[NAME] or _stem(scan)
    if _FORBIDDEN & set(name) or name.startswith("."):
        raise UsageError(
            f"{table}, line {number}: {name!r} cannot be the name of a folder. Use letters, digits, - and _."
        )
    cells |= {column: str(table.parent / cells[column]) for column in command.scan_files if cells[column]}
    options = [(option, cells[column]) for column, option in command.scan_options.items() if cells[column]]
    return Scan(scan, name, tuple(word for pair in options for word in pair))


def _separator(head: str, stream) -> str:
    stream.seek(0)
    return max(",;\t", key=head.count)


def _walk(folder: Path, output: Path, *, dicom: bool) -> Iterator[Path]:
    """Images, and folders that hold DICOM files and no image; nothing hidden, nothing of the output."""
    for place, folders, files in os.walk(folder, onerror=_refuse_unreadable):
        here = Path(place)
        folders[:] = sorted(name for name in folders if name[0] != "." and (here / name).resolve() != output)
        images = [here / name for name in files if name[0] != "." and name.lower().endswith(ENDINGS)]
        yield from images
        if dicom and not images and any(_is_dicom(here / name) for name in sorted(files)[:3]):
            yield here


def _is_dicom(path: Path) -> bool:
    offset, mark = _DICOM_MARK
    try:
        with path.open("rb") as stream:
            return stream.read(offset + len(mark))[offset:] == mark
    except OSError as error:
        _refuse_unreadable(error)


def _refuse_unreadable(error: OSError) -> NoReturn:
    raise InputRefused(
        f"{error.filename} cannot be read ({error.strerror}), so scans could be missed. Check its permissions."
    ) from error


def _anat_folders(folder: Path) -> Iterator[Path]:
    found = [*folder.glob("sub-*/anat"), *folder.glob("sub-*/ses-*/anat")]
    return iter(sorted(path for path in found if path.is_dir()))


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name.lower().endswith(ENDINGS) and path.name[0] != ".")


def _preferred(images: list[Path], command: BatchCommand) -> list[Path]:
    """The images of the first suffix that any of them has."""
    for picture in command.pictures:
        chosen = [path for path in images if _stem(path).endswith(f"_{picture}")]
        if chosen:
            return chosen
    return []


def _entity_name(path: Path, entities: tuple[str, ...]) -> str:
    """Subject, session, and what else the file's name says: also where it leaves subject or session out."""
    return "_".join([*entities, *(part for part in _stem(path).split("_") if part not in entities)])


def _path_name(path: Path, folder: Path) -> str:
    parts = path.relative_to(folder).parts[:-1]
    return "_".join([*parts, _stem(path)])


def _stem(path: Path) -> str:
    name = path.absolute().name  # as it is called here: data sets under git-annex are links to hashes
    ending = next((ending for ending in ENDINGS if name.lower().endswith(ending)), "")
    return name[: len(name) - len(ending)]


def _refuse_repeated(scans: list[Scan]) -> None:
    """Names that differ in case alone are one folder on Windows and macOS."""
    seen: dict[str, Scan] = {}
    for scan in scans:
        other = seen.setdefault(scan.name.casefold(), scan)
        if other is not scan:
            raise UsageError(
                f"The results of {other.path} and {scan.path} would both go to {scan.name}. "
                "Give a list (.csv) with the columns scan and name."
            )
