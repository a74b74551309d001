"""The way to the app: one signed call, and what came of it as a value.

`caller` sends a call in the version the app speaks, checks the answer's signature and reads it. Every fault an app or a
network can have comes back as one of the outcomes; nothing an app sends raises. `checkpoints` is the other way round: what a
running handler reports before its call has ended.
"""
