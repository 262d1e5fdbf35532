"""All of params.yaml checked, and what it points to, before anything else is done. Imports no Keras
and no SciPy, and from the rooms below only what reads and checks their sections; a stage is given
none of its results but the error.
"""
