"""Whether everything that a task waits for is known to wait: for `asyncio.gather` and tasks that are awaited, down to
the steps.

asyncio has no public way to ask what a task is waiting for. What is read here (a task's waiter, the children of a
gather) is used only to answer earlier; where it is missing or means something else, the answer is "not known" and the
caller is patient instead.
"""

import asyncio
from collections.abc import Container
from typing import Any


def is_known_to_wait(task: "asyncio.Future[Any] | None", *, at: Container[Any]) -> bool:
    """Whether `task` cannot go on before one of the futures in `at` is resolved, as far as can be told."""
    if task is None or task.done():
        return False
    if task in at:
        return True
    children = getattr(task, "_children", None)
    if children is not None:
        return bool(children) and all(child.done() or is_known_to_wait(child, at=at) for child in children)
    if isinstance(task, asyncio.Task):
        return is_known_to_wait(getattr(task, "_fut_waiter", None), at=at)
    return False
