"""Figures; the only folder that imports Matplotlib.

A plot of a run takes rows of a table, the schema that names regions and labels, and ``dpi``, the
pixels per inch of a picture 11 inches wide; it returns a PNG and an SVG file (`drawing.Files`).
"""
