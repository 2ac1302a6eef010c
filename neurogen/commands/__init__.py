"""The commands of the `neurogen` command line, one file each."""
