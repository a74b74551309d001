"""The operator's world when it runs in, or beside, a Kubernetes cluster."""
