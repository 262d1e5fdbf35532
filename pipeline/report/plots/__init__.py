"""Figures; the only folder that imports Matplotlib."""
