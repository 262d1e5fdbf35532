"""A whole configuration from a cohort's fingerprint, a machine and a time budget.

`fingerprint` and `machine` describe both; `candidates` lists trainings, `work` estimates what they
need, `timer` measures some of them, `shortfall` compares them, `budget` counts seconds, and `plan`
chooses and says why. Imported by commands; imports from core, preparation, runtime, and from
network what is read without Keras.
"""
