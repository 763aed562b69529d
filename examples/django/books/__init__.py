"""The books on the shelf."""
