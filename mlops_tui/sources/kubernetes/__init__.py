"""Kubernetes: the Deployments of one kubeconfig context, watched."""

from mlops_tui.sources.kubernetes.source import KubernetesSource
from mlops_tui.sources.kubernetes.target import KubernetesTarget

__all__ = ["KubernetesSource", "KubernetesTarget"]
