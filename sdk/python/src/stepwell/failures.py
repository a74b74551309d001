"""Exceptions as data: what the engine journals and people read.

The stack is the user's own: frames of the SDK around it are left out.
"""

import traceback
from pathlib import Path
from types import TracebackType
from typing import Final

from stepwell.errors import NonRetryable, RetryAfter, StepFailed
from stepwell_protocol.wire import ErrorData

_OWN_FOLDER: Final = str(Path(__file__).parent)
_DEEPEST: Final = 40


def as_data(error: BaseException) -> ErrorData:
    """The error as it travels.

    `NonRetryable` says that another attempt would not help, `RetryAfter` when it may come.
    """
    return ErrorData(
        name=error.name if isinstance(error, StepFailed) else type(error).__name__,
        message=_clean(str(error)) or type(error).__name__,
        stack=_clean(_stack(error)),
        retryable=not isinstance(error, NonRetryable),
        retry_after=max(error.seconds, 0.0) if isinstance(error, RetryAfter) else None,
    ).capped()


def _stack(error: BaseException) -> str:
    own = error.__traceback__
    while own is not None and _is_ours(own):
        own = own.tb_next
    lines = traceback.format_exception(type(error), error, own or error.__traceback__, limit=-_DEEPEST)
    return "".join(lines)


def _is_ours(frame: TracebackType) -> bool:
    return frame.tb_frame.f_code.co_filename.startswith(_OWN_FOLDER)


def _clean(text: str) -> str:
    """Without what JSON or Postgres cannot hold."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode("utf-8")
