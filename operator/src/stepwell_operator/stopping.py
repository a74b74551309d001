"""Whether the current task was told to stop.

A cancellation that arrives while a query is being abandoned can come out of the database driver as a lost connection. A
loop that goes on after errors must therefore ask, or it would go on after the one request to stop that it gets.
"""

import asyncio


def told_to_stop() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
