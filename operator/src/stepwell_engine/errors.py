"""Every error the engine raises on purpose.

    StepwellError
    ├── InvalidInput            the caller's fault, told in full: field, reason, fix        (400)
    │   └── TooLarge            over a stated limit                                         (413)
    ├── Unauthorized            no key, wrong key, late signature                           (401)
    ├── NotFound                                                                            (404)
    ├── Conflict                somebody else moved it first, or it is not in that state    (409)
    │   ├── IllegalTransition   an event that the state machine has no row for
    │   └── LeaseLost           the run is somebody else's now, or has ended
    ├── Refused                 the schema refuses a row: a defect of ours, or a hostile payload   (500)
    ├── Unavailable             Postgres is away or the engine is draining: try again       (503)
    └── SchemaMismatch          the database is newer or older than this engine

Policy (HTTP status, a stable code, whether a retry can help) stands on the class; the message says what happened, to
which run, and what to do.
"""

from typing import ClassVar


class StepwellError(Exception):
    status: ClassVar[int] = 500
    code: ClassVar[str] = "InternalError"
    retryable: ClassVar[bool] = False


class InvalidInput(StepwellError):
    """A request that can't be accepted as it is. `field` names the place in the request, if there is one."""

    status = 400
    code = "InvalidInput"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field


class TooLarge(InvalidInput):
    status = 413
    code = "TooLarge"


class Unauthorized(StepwellError):
    status = 401
    code = "Unauthorized"


class NotFound(StepwellError):
    status = 404
    code = "NotFound"


class Conflict(StepwellError):
    status = 409
    code = "Conflict"


class IllegalTransition(Conflict):
    code = "IllegalTransition"


class LeaseLost(Conflict):
    code = "LeaseLost"


class Refused(StepwellError):
    code = "Refused"


class Unavailable(StepwellError):
    status = 503
    code = "Unavailable"
    retryable = True


class SchemaMismatch(StepwellError):
    code = "SchemaMismatch"
