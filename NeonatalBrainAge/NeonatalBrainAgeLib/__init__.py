"""The parts of the NeonatalBrainAge module."""
