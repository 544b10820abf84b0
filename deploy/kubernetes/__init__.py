"""Tocsin on Kubernetes: the manifests, what is generated of them, and the rehearsal."""
