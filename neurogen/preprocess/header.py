"""What a scan's header and file name say about its contrast and its patient's age."""

import re
from collections.abc import Mapping

T1W, T2W, FLAIR, POST_CONTRAST, UNKNOWN = "t1w", "t2w", "flair", "t1w-post-contrast", "unknown"

FLAIR_WORDS = {"flair", "t2flair", "tirm", "fluid"}
T2_WORDS = {"t2", "t2w", "t2tse", "t2fse"}
T1_WORDS = {"t1", "t1w", "t1wi", "mprage", "mp2rage", "spgr", "fspgr", "irfspgr", "bravo", "tfl", "mdeft", "unit1"}
T1_POST_WORDS = {"t1post", "t1c", "t1ce", "t1gd", "t1gad", "t1wc", "t1wce"}
POST_WORDS = {"post", "postcontrast", "ce", "gd", "gad", "gado", "gadolinium", "contrast"}
NO_AGENT = {"", "none", "no", "n", "n/a", "na", "0"}
YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}  # units of a DICOM age string

# Echo and inversion times in ms; spin-echo T1 has TE < 25, T2 and FLAIR have TE > 60; FLAIR nulls CSF with TI > 1600.
LONGEST_T1_ECHO_MS = 25.0
SHORTEST_T2_ECHO_MS = 60.0
SHORTEST_FLAIR_INVERSION_MS = 1600.0
LONGEST_T1_REPETITION_MS = 1000.0  # longer is T1-weighted only with an inversion pulse


def told_contrast(facts: Mapping[str, str]) -> tuple[str, str]:
    """(contrast, where it says so); `unknown` where neither words nor times tell.

    Words of the series description and the file name come first, then echo, repetition and inversion time.
    """
    for source in ("SeriesDescription", "name"):
        contrast = _contrast_in_words(facts.get(source, ""))
        if contrast != UNKNOWN:
            break
    else:
        contrast, source = _contrast_of_times(facts), "EchoTime"
    agent = facts.get("ContrastBolusAgent", "")
    if contrast == T1W and agent.lower() not in NO_AGENT:
        return POST_CONTRAST, f"ContrastBolusAgent is {agent!r}"
    return contrast, f"{'the file name' if source == 'name' else source} is {facts.get(source)!r}"


def age_years(facts: Mapping[str, str]) -> float | None:
    """Age from PatientAge (`045Y`, `006M`, or a number of years); None where it is absent or unreadable."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([DWMY]?)\s*", facts.get("PatientAge", "").upper())
    return None if match is None else float(match[1]) * YEARS[match[2] or "Y"]


def _contrast_in_words(text: str) -> str:
    words = set(re.findall(r"[a-z0-9]+", text.lower().removesuffix(".gz")))
    if words & FLAIR_WORDS:
        return FLAIR
    if words & T2_WORDS:
        return T2W
    if words & T1_POST_WORDS:
        return POST_CONTRAST
    if not words & T1_WORDS:
        return UNKNOWN
    enhanced = words & POST_WORDS or re.search(r"\+\s?c\b", text.lower())
    return POST_CONTRAST if enhanced and not words & {"pre", "without", "no", "non"} else T1W


def _contrast_of_times(facts: Mapping[str, str]) -> str:
    echo, repetition, inversion = (_number(facts.get(f"{name}Time")) for name in ("Echo", "Repetition", "Inversion"))
    if echo is None:
        return UNKNOWN
    if echo >= SHORTEST_T2_ECHO_MS:
        return FLAIR if (inversion or 0.0) >= SHORTEST_FLAIR_INVERSION_MS else T2W
    short = repetition is not None and repetition <= LONGEST_T1_REPETITION_MS
    prepared = inversion is not None and 0.0 < inversion < SHORTEST_FLAIR_INVERSION_MS
    return T1W if echo <= LONGEST_T1_ECHO_MS and (short or prepared) else UNKNOWN


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
