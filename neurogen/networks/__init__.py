"""Thin factories over MONAI, and the whitelist through which a manifest names them."""
