"""What wraps a stage: command line, parallel cases, MLflow, costs, provenance, logging. No stage
has it as a dep, because it changes no out.
"""
