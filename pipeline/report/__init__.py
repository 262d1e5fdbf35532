"""Report page, model card and figures of a run: `page.report`, `model_card`, `plots.figures`.

Modules compute values; texts are in templates/, styles, scripts and published results in assets/.
"""
