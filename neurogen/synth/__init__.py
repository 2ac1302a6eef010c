"""Synthetic data with known truth: heads of any contrast drawn from label maps, lesions planted in healthy scans."""
