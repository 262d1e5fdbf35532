"""Intervals, paired tests, rankings over cases."""
