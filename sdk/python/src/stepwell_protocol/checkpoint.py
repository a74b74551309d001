"""Checkpointing: an app's running handlers report finished steps without ending their call.

The request is an array, one item for each run of the process that has something to report; the reply is an array in the
same order, each item `{"go": {startBy, endBy, steps?}}` once the operations are committed, or `{"stop": <why>}`.
`steps` carries results that others added to the journal meanwhile (an event's ids, a wait that was resolved), in the
shape they have in a call. A `go` numbers the run's next exchange one higher. Sending the same item again is safe: an
item that is committed already is answered as it was.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from stepwell_protocol.answer import KEPT, decode_operations, encode_operations
from stepwell_protocol.messages import InvalidMessage, an_object, quoted, shown, text, whole
from stepwell_protocol.operations import Operation
from stepwell_protocol.strict_json import Codec, load_sliced
from stepwell_protocol.strict_json import loads as strict_loads

MOST_ITEMS: Final = 10_000


@dataclass(frozen=True, slots=True)
class CheckpointItem:
    """What one run has to report under its token."""

    run_id: str
    token: int
    seq: int
    ops: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class Go:
    """Committed; go on. Times in unix ms of the database's clock."""

    start_by: int
    end_by: int
    steps: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stop:
    """End this call without starting anything more."""

    reason: str


CheckpointReply = Go | Stop


def encode_checkpoint(items: Iterable[CheckpointItem]) -> bytes:
    """Write a checkpoint request."""
    return b"[%b]" % b",".join(
        [
            b'{"runId":%b,"token":%d,"seq":%d,"ops":[%b]}'
            % (quoted(item.run_id), item.token, item.seq, encode_operations(item.ops))
            for item in items
        ]
    )


def decode_checkpoint(raw: bytes, *, codec: Codec | None = None) -> list[CheckpointItem]:
    """Read a checkpoint request.

    Raises:
        ValueError: `StrictJsonError` or `InvalidMessage`, naming the place.
    """
    body = load_sliced(raw, place="checkpoint", inner=KEPT, codec=codec)
    if not isinstance(body, list) or len(body) > MOST_ITEMS:
        raise InvalidMessage("checkpoint", f"must be an array of at most {MOST_ITEMS} items; got {shown(body)}")
    found: list[CheckpointItem] = []
    for at, item in enumerate(body):
        try:
            an_object(item, "")
            ops = decode_operations(item.get("ops"), codec=codec)
            found.append(CheckpointItem(text(item, "runId"), whole(item, "token"), whole(item, "seq"), ops))
        except InvalidMessage as error:
            raise error.inside(f"checkpoint[{at}]") from None
    return found


def encode_go(*, start_by: int, end_by: int, entries: Sequence[bytes] = ()) -> bytes:
    """Write one `go`; `entries` are what `invoke.encode_entry` gave for results that others added."""
    steps = b',"steps":{%b}' % b",".join(entries) if entries else b""
    return b'{"go":{"startBy":%d,"endBy":%d%b}}' % (start_by, end_by, steps)


def encode_stop(reason: str) -> bytes:
    """Write one `stop`."""
    return b'{"stop":%b}' % quoted(reason)


def encode_checkpoint_reply(items: Iterable[bytes]) -> bytes:
    """Write the reply from what `encode_go` and `encode_stop` gave, in the order of the request."""
    return b"[%b]" % b",".join(items)


def decode_checkpoint_reply(raw: bytes, *, codec: Codec | None = None) -> list[CheckpointReply]:
    """Read the reply to a checkpoint request.

    Raises:
        ValueError: `StrictJsonError` or `InvalidMessage`, naming the place.
    """
    body = strict_loads(raw, place="reply", codec=codec)
    if not isinstance(body, list):
        raise InvalidMessage("reply", f"must be an array; got {shown(body)}")
    found: list[CheckpointReply] = []
    for at, item in enumerate(body):
        try:
            found.append(_reply(an_object(item, "")))
        except InvalidMessage as error:
            raise error.inside(f"reply[{at}]") from None
    return found


def _reply(item: dict[str, Any]) -> CheckpointReply:
    if "go" not in item:
        return Stop(text(item, "stop"))
    try:
        terms = an_object(item["go"], "")
        steps = terms.get("steps")
        return Go(whole(terms, "startBy"), whole(terms, "endBy"), {} if steps is None else an_object(steps, "steps"))
    except InvalidMessage as error:
        raise error.inside("go") from None
