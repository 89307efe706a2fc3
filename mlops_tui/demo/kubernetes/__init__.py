"""A Kubernetes-compatible server with an in-memory store and working Deployment controllers.

`Cluster` is the world, `create_app` shows it to clients over HTTP. Whatever a client does there (kubectl included)
moves the same controllers that the demo's scenario moves.
"""

from mlops_tui.demo.kubernetes.behaviour import ImageBehaviour
from mlops_tui.demo.kubernetes.cluster import Cluster
from mlops_tui.demo.kubernetes.errors import ApiError
from mlops_tui.demo.kubernetes.server import create_app

__all__ = ["ApiError", "Cluster", "ImageBehaviour", "create_app"]
