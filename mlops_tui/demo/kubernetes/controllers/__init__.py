"""What makes objects move: Deployment, ReplicaSet, kubelet and garbage collection."""
