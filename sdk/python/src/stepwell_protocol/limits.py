"""Sizes the wire allows, in bytes of JSON as sent, and the one sentence that says a limit was passed.

Both sides check: the SDK so that the mistake is reported where it was made, the engine because it trusts nobody. Being
over a limit is never worth a retry, the same bytes would be over it again.
"""

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

EVENT_BYTES: Final = 512 * KIB
STEP_RESULT_BYTES: Final = 4 * MIB
JOURNAL_BYTES: Final = 64 * MIB

ID_CHARS: Final = 256
OPS_PER_ANSWER: Final = 1000

ERROR_NAME_CHARS: Final = 200
ERROR_MESSAGE_CHARS: Final = 4 * KIB
ERROR_STACK_CHARS: Final = 16 * KIB


def over_limit(what: str, *, size: int, limit: int) -> str | None:
    """The sentence for a `what` of `size` bytes that passes `limit`, or None when it fits."""
    if size <= limit:
        return None
    return (
        f"{what} is {size:,} bytes; the limit is {_readable(limit)} ({limit:,} bytes). "
        "Store large data elsewhere and pass a reference"
    )


def _readable(size: int) -> str:
    return f"{size // MIB} MiB" if size % MIB == 0 else f"{size // KIB} KiB"
