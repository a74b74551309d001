"""The durable core: journals every run in Postgres and drives it by calling the app back. Knows no Kubernetes."""
