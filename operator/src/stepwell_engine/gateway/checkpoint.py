"""What running handlers report before their call has ended.

One request holds one item for each run of the app's process that has something to report; each is answered after its commit.
Only the worker that holds the lease has the run at hand, and the address in the call is its own. A report that comes elsewhere,
or too late, is answered `stop`: the handler ends its call, and the run is called again by whoever holds it.
"""

import asyncio
from collections.abc import Mapping
from uuid import UUID

from stepwell_protocol.strict_json import StrictJsonError
from stepwell_protocol.wire import (
    CheckpointItem,
    InvalidMessage,
    decode_checkpoint,
    encode_checkpoint_reply,
    encode_stop,
)

from ..driving.function import FunctionRun
from ..errors import InvalidInput
from ..model import App
from ..transport.caller import CODEC

_ELSEWHERE = encode_stop("this worker does not hold the run's lease: end the call without starting anything more")


class Checkpoints:
    """`runs` is what the worker of this process is driving right now."""

    def __init__(self, runs: Mapping[UUID, FunctionRun]) -> None:
        self._runs = runs

    async def report(self, app: App, body: bytes) -> bytes:
        try:
            items = decode_checkpoint(body, codec=CODEC)
        except (StrictJsonError, InvalidMessage) as error:
            raise InvalidInput(str(error)) from None
        if len(items) == 1:
            return encode_checkpoint_reply([await self._one(app, items[0])])
        return encode_checkpoint_reply(await asyncio.gather(*[self._one(app, item) for item in items]))

    async def _one(self, app: App, item: CheckpointItem) -> bytes:
        try:
            driven = self._runs.get(UUID(item.run_id))
        except ValueError:
            driven = None
        if driven is None or driven.run.token != item.token or driven.run.lease.app_id != app.id:
            return _ELSEWHERE
        return await driven.checkpoint(item.seq, item.ops)
