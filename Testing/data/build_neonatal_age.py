"""Make Resources/Models/neonatal-age anew: python Testing/data/build_neonatal_age.py TRAIN.csv VAL.csv [...]"""

import sys
from pathlib import Path

from neurogen.brain_age.age_model import DEFAULT_MODEL
from neurogen.brain_age.build import build_model
from neurogen.brain_age.tables import join, load_table
from neurogen.resources import resource_path

if __name__ == "__main__":
    tables = join(*(load_table(Path(name)) for name in sys.argv[1:]))
    model, measured = build_model(tables, resource_path("Models", DEFAULT_MODEL))
    print(model.path, measured)
