"""Many scans: which ones, each in a process of its own, and a table of what became of them."""
