"""Durable functions and workflows for ordinary HTTP services."""
