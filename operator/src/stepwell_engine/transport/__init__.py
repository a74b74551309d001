"""The way to the app: one signed call, and what came of it as a value.

`caller` sends a call in the version the app speaks, checks the answer's signature and reads it; `sharing` sends those that are
ready together in one request. Every fault an app or a network can have comes back as one of the `outcomes`; nothing an app sends
raises. `requests` are those of `http` steps, to anybody.
"""
