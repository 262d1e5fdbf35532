"""Cases of a cohort segmented by its network and scored against their references: the held-out
ones, those of validation, and those that lack modalities. For the stage `evaluate`.
"""
