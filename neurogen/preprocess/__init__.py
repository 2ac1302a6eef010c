"""From a scan to the working grid and the exact way back, and whether the scan suits a model at all."""
