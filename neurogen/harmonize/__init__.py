"""Harmonization: make a scan look as if the reference site had taken it (Harmonizing Flows, thesis chapter 2)."""
