"""Measure a trained region model on its kept-apart scans and ship it.

    python Testing/data/build_neonatal_regions.py DATA TRAINED_MODEL

DATA: the folder it was trained on; TRAINED_MODEL: the folder `neonatal-regions` that `neurogen train regions` wrote.
The weights are stored in 8 bits and measured as they are shipped.
"""

import sys
import tempfile
import time
from pathlib import Path

from neurogen.brain_age.age_model import DEFAULT_MODEL, load_age_model
from neurogen.brain_age.segmentation import MODEL_ID
from neurogen.evaluation.regions import measure
from neurogen.models import ModelStore, write_model
from neurogen.networks.small_weights import reduced
from neurogen.resources import resource_path

NOTES = (
    "Good for a first look at tissues and large regions. Not for an age gap: on kept-apart averages an age read from "
    "found regions was 0.1 to 1.8 weeks off, most at 25 weeks, where the thin cortex comes out too smooth.",
    "The atlases are averages of fetal brains of 23 to 38 weeks, smoother than any newborn's and with twice the fluid: "
    "nothing is known of how well regions are found in scans of single newborns, or above 38 weeks.",
    "The mean over a mirrored look and the volumes kept by region were chosen while looking at kept-apart weeks of an "
    "earlier checkpoint (mean Dice 0.60 to 0.63 there), so the figures above are a little favorable.",
    "A checked segmentation is better in every case; `neurogen brain-age` takes it as it is.",
)
TERMS = "no terms stated; cite the CHN fetal brain atlas (J Neurosci 2022)"


def main(data: Path, trained: Path) -> None:
    store = ModelStore()
    given = store.get(f"{trained}/")
    weights = {name: value.float() if value.is_floating_point() else value for name, value in given.weights().items()}
    kept = {key: value for key, value in given.manifest.items() if key not in ("files", "code_version")}
    with tempfile.TemporaryDirectory() as folder:
        model = write_model(Path(folder) / MODEL_ID, kept, reduced(weights))
        started = time.process_time()
        table = measure(data, model, load_age_model(store.get(DEFAULT_MODEL)))
        seconds = (time.process_time() - started) / (len(table.rows) - 1)
        print(table.text())
        print(table.facts["weeks_by_feature"])
        write_model(resource_path("Models", MODEL_ID), manifest_of(kept, table, seconds), model.weights())


def manifest_of(manifest: dict, table, seconds: float) -> dict:
    """The manifest of training with what was measured before what chose the checkpoint."""
    scans = [{"name": "CHN fetal brain atlas, weekly averages with 87 regions", "terms": TERMS,
              "scans": manifest["training_data"][0]["scans"]}]  # fmt: skip
    names = [name for name in table.rows if name != "mean"]
    rounded = {name: {column: round(value, 3) for column, value in row.items()} for name, row in table.rows.items()}
    regions = {name: round(value, 3) for name, value in table.facts["dice_by_region"].items()}
    protocol = f"{len(names)} atlas weeks kept apart ({', '.join(names)}), Dice against the atlas labels"
    measured = [{"protocol": f"{protocol}, mean", **rounded["mean"]}]
    measured += [{"protocol": f"kept apart, {name}", **rounded[name]} for name in names]
    measured += [{"protocol": "kept apart, mean Dice by region", **regions}]
    shifts = {name: round(value, 2) for name, value in table.facts["weeks_by_feature"].items()}
    measured += [{"protocol": "kept apart, weeks that single features shift the age, mean", **shifts}]
    return manifest | {
        "training_data": scans,
        "measured": measured + manifest["measured"],
        "seconds": {"one scan of 0.8 mm with the reading of two ages (cpu, one thread)": round(seconds)},
        "licence": f"research only: {TERMS}",
        "notes": list(NOTES),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
