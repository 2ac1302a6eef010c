"""A newborn's brain-extracted T2w to its Draw-EM regions."""
GRID_MM = 0.8
MODEL_ID = "neonatal-regions"
TASK = "regions"
