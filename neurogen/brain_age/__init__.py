"""The brain age of a newborn from the volumes and surfaces of 86 regions (doi:10.1038/s41598-023-40244-z)."""
