"""Real parts for the tests: Postgres, databases, processes, a Kubernetes API server, apps. No fakes of what can be run."""
