"""From a reader's correction to the next training: the record of a corrected case, saving it into a
cohort of corrected cases, and which predictions are most worth correcting. Needs neither Keras nor
the server; imports `core`, `formats`, `cohorts`, `metrics` and `verification`.
"""
