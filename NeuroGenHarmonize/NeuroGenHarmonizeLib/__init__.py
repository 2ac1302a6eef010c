"""The parts of the NeuroGenHarmonize module."""
