"""The wire between the engine and an app: message types, signing, limits and the HTTP client that carries them.

Engine and SDK never import each other; both import this package, and it imports nothing but the standard library and
httptools. Nothing is re-exported here: import the module that owns the name (`stepwell_protocol.wire`, `.signing`,
`.client`, …), so that a process pays only for what it uses.
"""
