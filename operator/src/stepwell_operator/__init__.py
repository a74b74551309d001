"""Registers with the engine what the cluster declares, and writes back what became of it.

The same reconcilers serve a cluster and the manifest files of `stepwell dev`; what differs is the `World` they look at.
kopf is an event source and nothing more: reconciling starts from the present state of an object, is repeated until it
succeeds, and finds by listing what no watch told.
"""
