"""Figures of this pipeline on this machine, beside its targets and its peers; the pipeline never
imports them.
"""
