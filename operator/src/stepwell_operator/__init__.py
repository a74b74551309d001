"""Registers what the cluster declares with the engine; writes back what became of it. Thin: kopf is only its event source."""
