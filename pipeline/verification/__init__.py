"""Checks on a case and across a cohort, and the thumbnails that show it."""
