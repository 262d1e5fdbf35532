"""Scores of a prediction against a reference: overlap, surface distance, lesions, calibration,
tumour types.
"""
