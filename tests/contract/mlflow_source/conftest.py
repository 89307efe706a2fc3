from tests.support.mlflow_server import mlflow_server

__all__ = ["mlflow_server"]
