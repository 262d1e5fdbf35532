"""What wraps a stage: command line, parallel cases, MLflow, costs, provenance, logging. Never a dep
of a stage.
"""
