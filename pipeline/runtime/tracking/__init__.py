"""MLflow: one run per `dvc repro` or `dvc exp run`, whichever of its stages were computed. Stages
start at `reproduction`, commands at `store` and `kept`. No other package imports mlflow.
"""
