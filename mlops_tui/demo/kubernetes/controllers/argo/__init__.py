"""The controller of Argo Rollouts: canary and blue-green."""
