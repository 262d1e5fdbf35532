"""Summaries of scores over cases: means and intervals, paired tests, rankings."""
