"""What can keep the local stack from starting or staying up, told to a person.

StepwellError
└── LocalProblem          the message says what is wrong and what to do; never shown with a traceback
    ├── AlreadyRunning    another `stepwell dev` holds the data directory or the port
    └── CrashLoop         a child ends again and again
"""

from ..errors import StepwellError


class LocalProblem(StepwellError):
    code = "LocalProblem"


class AlreadyRunning(LocalProblem):
    code = "AlreadyRunning"


class CrashLoop(LocalProblem):
    code = "CrashLoop"


def last_words(text: str, *, lines: int = 5) -> str:
    """The end of a program's output on one line, for a message."""
    return " | ".join(line.strip() for line in text.strip().splitlines()[-lines:]) or "it said nothing"
