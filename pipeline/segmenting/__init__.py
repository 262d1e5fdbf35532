"""Cases of any source found, segmented by a trained network and written: the parts of the Python
API, `pipeline.api`, which the command `predict` calls.
"""
