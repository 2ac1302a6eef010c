"""Synthetic data with known truth: heads of any contrast drawn from label maps, and lesions planted in healthy scans."""
