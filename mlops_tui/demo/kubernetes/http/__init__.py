"""The cluster over HTTP: paths, permissions, representations, watches."""
