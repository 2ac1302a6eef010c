"""Stands in for `python -m neurogen COMMAND SCAN --out DIR ...`: the text of the scan says what happens.

`ok`, `ok after SECONDS`, `hang`, `deaf` (hangs, and cannot be asked to stop), `killed`, `crash`, `trace`, or
`CODE SENTENCE` as a failure. The words of each run are added to `calls.txt` beside the scan.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

RECORDS = {
    "detect": ("detect.json", {"lesions": [{"volume_ml": 2.5}, {"volume_ml": 1.0}], "warnings": ["thick slices"]}),
    "brain-age": (
        "age.json",
        {
            "predicted_weeks": 39.5,
            "interval_90_weeks": [38.0, 41.0],
            "age_weeks": None,
            "corrected_gap_weeks": None,
            "warnings": [],
        },
    ),
}


def main(words: list[str]) -> int:
    command, scan, _, out = words[:4]
    with (Path(scan).parent / "calls.txt").open("a") as log:
        log.write(json.dumps([time.time(), *words]) + "\n")
    what, *rest = Path(scan).read_text().split()
    part = Path(out).with_name(f".{Path(out).name}.part")
    part.mkdir(parents=True)
    print(json.dumps({"stage": "network", "fraction": 0.5}), flush=True)
    if what.isdecimal():
        part.rmdir()
        print(json.dumps({"error": " ".join(rest), "exit_code": int(what)}), flush=True)
        return int(what)
    if what == "ok":
        time.sleep(float(rest[1]) if rest else 0)
        name, record = RECORDS[command]
        (part / name).write_text(json.dumps(record))
        part.rename(out)
        return 0
    return fail(what, Path(scan))


def fail(what: str, scan: Path) -> int:
    if what == "trace":
        raise ZeroDivisionError("a defect")
    if what in ("killed", "crash"):
        os.kill(os.getpid(), signal.SIGKILL if what == "killed" else signal.SIGSEGV)
    if what == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    (scan.parent / "pids.txt").write_text(f"{os.getpid()} {child.pid}")
    child.wait()
    return 0


if __name__ == "__main__":
    assert sys.argv[1:3] == ["-m", "neurogen"] and sys.argv[-1] == "--json-progress"
    sys.exit(main(sys.argv[3:-1]))
