"""Several calls in one request, each answered as soon as it can be.

What travels together is what would have travelled apart. The request is an array of calls, signed as a whole. The
answer is a stream of parts, one for all that has been answered meanwhile:

    <signature> <length>\\n      the version-2 signature of the `length` bytes that follow
    <place> <status> <body>\\n   for each call answered: its place in the array, and the status and body that it
                                would have had as an answer of its own

Calls may be answered in any order. A call that is not answered when the stream ends has an unknown outcome. Each answer
carries the token and number of its call, so one that belongs to another request is not taken.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from stepwell_protocol.messages import InvalidMessage
from stepwell_protocol.signing import sign_v2, verify_v2

#: What the answer's content-type says.
PARTS: Final = "application/vnd.stepwell.parts"

_LONGEST_HEAD: Final = 1024
_LONGEST_NUMBER: Final = 10


class OneAnswer(NamedTuple):
    """The answer to one of the calls."""

    place: int
    status: int
    body: bytes


def encode_calls(calls: Iterable[bytes]) -> bytes:
    """The body of a request that carries several calls, each as `encode_invoke` or `encode_workflow_call` gave it."""
    return b"[%b]" % b",".join(calls)


def encode_part(answers: Iterable[tuple[int, int, bytes]], *, key: str, now: float) -> bytes:
    """One part of the answer, from (place, status, body)."""
    # A line break is never part of a value in JSON, only of what stands between them.
    lines = b"".join([b"%d %d %b\n" % (place, status, body.replace(b"\n", b" ")) for place, status, body in answers])
    return b"%b %d\n%b" % (sign_v2(lines, key, now=now).encode(), len(lines), lines)


class PartReader:
    """Reads the parts as their bytes come, and gives nothing away whose signature it has not checked.

    It holds what has come of one part. How much that may be is for whoever feeds it to bound.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        """`keys`: every signing key that is accepted at the moment."""
        self._keys = keys
        self._held = bytearray()

    def feed(self, data: bytes, *, now: float) -> list[OneAnswer]:
        """The answers of all parts that are complete now. `now`: unix seconds on this machine.

        Raises:
            InvalidMessage: not a part.
            SignatureRefused: of a part.
        """
        held = self._held
        held += data
        found: list[OneAnswer] = []
        while held:
            head, newline, _ = bytes(held[:_LONGEST_HEAD]).partition(b"\n")
            if not newline:
                if len(head) == _LONGEST_HEAD:
                    raise InvalidMessage("part", "must begin with its signature and its length on a line")
                break
            signature, _, length = head.rpartition(b" ")
            begin = len(head) + 1
            end = begin + _number(length, "length")
            if len(held) < end:
                break
            lines = bytes(held[begin:end])
            verify_v2(lines, signature.decode("latin-1"), self._keys, now=now)
            del held[:end]
            *whole, rest = lines.split(b"\n")
            if rest:
                raise InvalidMessage("part", "must end with a line break")
            found += [_answered(line) for line in whole]
        return found


def _answered(line: bytes) -> OneAnswer:
    place, _, rest = line.partition(b" ")
    status, _, body = rest.partition(b" ")
    return OneAnswer(_number(place, "place"), _number(status, "status"), body)


def _number(digits: bytes, what: str) -> int:
    if not digits.isdigit() or len(digits) > _LONGEST_NUMBER:
        raise InvalidMessage(f"part.{what}", "must be a number")
    return int(digits)
