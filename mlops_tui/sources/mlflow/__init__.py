"""MLflow: registered models, their versions, and the runs that those came from."""

from mlops_tui.sources.mlflow.address import MlflowTarget
from mlops_tui.sources.mlflow.source import MlflowSource

__all__ = ["MlflowSource", "MlflowTarget"]
