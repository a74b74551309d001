"""A step that is made but not started: `Later`. Awaiting it starts it; `step.parallel` and `asyncio.gather` take
several.

Each kind of step is one subclass that says what to do when it is fresh; finding journaled results, waiting for the
commit and turning failures into `StepFailed` is the same for all.
"""

import time
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Generator, Mapping
from datetime import datetime
from typing import Any, Generic, TypeVar

from stepwell.current import idempotency_key, log
from stepwell.errors import Mistake, StepFailed
from stepwell.failures import as_data
from stepwell.place import Place
from stepwell.shapes import PLAIN, NotJson, Shape, returned_by
from stepwell.turn import Turn
from stepwell_protocol import limits, wire

R = TypeVar("R")


class Later(Awaitable[R], Generic[R]):
    """A step that is made but not started."""

    __slots__ = ("_awaited", "_turn", "id", "name", "where")

    type: str

    def __init__(self, turn: Turn, name: str, *, where: Place) -> None:
        self._turn = turn
        self._awaited = False
        self.name = name
        self.where = where
        self.id = name
        turn.unawaited[self] = where

    def __await__(self) -> Generator[Any, None, R]:
        if self._awaited:
            raise self._turn.blame(
                Mistake(f"step {self.name!r} ({self.where}) is awaited twice: keep its result in a variable")
            )
        self._awaited = True
        turn = self._turn
        turn.unawaited.pop(self, None)
        self.id, entry, fresh = turn.reach(self.name, type=self.type, where=self.where)
        if entry is not None:
            return self._journaled(entry)
        if fresh:
            yield from self._begin().__await__()
        yield from turn.wait(self.id).__await__()
        turn.replay.close(self.id)
        return self.result()

    def result(self) -> R:
        """The result, once the engine's journal holds it.

        Raises:
            StepFailed: the step failed for good.
        """
        entry = self._turn.replay.journal.get(self.id)
        return self._from_this_call() if entry is None else self._journaled(entry)

    def _journaled(self, entry: Mapping[str, Any]) -> R:
        if "error" in entry:
            raise StepFailed(self.id, _error_of(entry["error"]))
        try:
            return self._restore(entry.get("data"))
        except NotJson as refusal:
            raise self._turn.blame(
                Mistake(
                    f"the journaled result of step {self.id!r} ({self.where}) {refusal}: "
                    "runs under way still hold results of the earlier type; accept both, or give the step a new name"
                )
            ) from None

    @abstractmethod
    async def _begin(self) -> None:
        """Do what a fresh step does, and note the operation to report."""

    @abstractmethod
    def _restore(self, data: Any) -> R:
        """The result from the journal. Raises NotJson."""

    def _from_this_call(self) -> R:
        raise AssertionError(f"step {self.id!r} has no result yet")


class RunLater(Later[R]):
    """`step.run`: the code of a step."""

    __slots__ = ("_args", "_data", "_function", "_kwargs", "_shape")

    type = "run"

    def __init__(
        self,
        turn: Turn,
        name: str,
        *,
        where: Place,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        Later.__init__(self, turn, name, where=where)
        self._function = function
        self._args = args
        self._kwargs = kwargs
        self._data = b""
        try:
            self._shape: Shape[R] = returned_by(function)
        except Mistake as mistake:
            raise turn.blame(Mistake(f"step {name!r} ({where}): {mistake}")) from None

    async def _begin(self) -> None:
        turn = self._turn
        if not turn.in_time():
            await turn.may_start(self.id)
        began = time.perf_counter()
        try:
            value = await turn.run_code(self.id, self._function, self._args, self._kwargs)
            self._data = self._encode(value)
        except Exception as error:  # noqa: BLE001 - whatever a step raises is its failure, reported as data
            ms = (time.perf_counter() - began) * 1000
            log.warning("run %s: step %r failed: %s", turn.invoke.run_id, self.id, error, exc_info=error)
            turn.replay.ops.append(wire.StepFailed(self.id, as_data(error), ms))
        else:
            ms = (time.perf_counter() - began) * 1000
            turn.replay.ops.append(wire.StepDone(self.id, self._data, ms))

    def _encode(self, value: Any) -> bytes:
        try:
            data = self._shape.dump(value)
        except NotJson as refusal:
            raise Mistake(
                f"the result of step {self.id!r} ({self.where}) {refusal}: return JSON types or a pydantic model"
            ) from None
        if over := limits.over_limit(f"the result of step {self.id!r}", size=len(data), limit=limits.STEP_RESULT_BYTES):
            raise Mistake(over)
        return data

    def _from_this_call(self) -> R:
        try:
            return self._shape.load(self._data)
        except NotJson as refusal:
            raise self._turn.blame(
                Mistake(f"the result of step {self.id!r} ({self.where}) {refusal} when it is read back")
            ) from None

    def _restore(self, data: Any) -> R:
        return self._shape.restore(data)


class SleepLater(Later[None]):
    """`step.sleep` and `step.sleep_until`."""

    __slots__ = ("_until",)

    type = "sleep"

    def __init__(self, turn: Turn, name: str, *, where: Place, until: Callable[[], datetime]) -> None:
        super().__init__(turn, name, where=where)
        self._until = until

    async def _begin(self) -> None:
        await self._turn.may_start(self.id)
        self._turn.replay.ops.append(wire.SleepUntil(self.id, self._until()))

    def _restore(self, _: Any) -> None:
        return None


class WaitLater(Later[R]):
    """`step.wait_for_event`."""

    __slots__ = ("_event", "_match", "_received", "_until")

    type = "wait"

    def __init__(
        self,
        turn: Turn,
        name: str,
        *,
        where: Place,
        event: str,
        match: bytes | None,
        until: Callable[[], datetime | None],
        received: Callable[[Mapping[str, Any] | None], R],
    ) -> None:
        super().__init__(turn, name, where=where)
        self._event = event
        self._match = match
        self._until = until
        self._received = received

    async def _begin(self) -> None:
        await self._turn.may_start(self.id)
        self._turn.replay.ops.append(wire.WaitFor(self.id, self._event, self._match, self._until()))

    def _restore(self, data: Any) -> R:
        return self._received(data)


class SendLater(Later[str]):
    """`step.send_event`: the engine sends it in the commit that journals the step.

    Version 1 of the wire has no operation for it; there it is an ordinary step that sends, under an id of the step's
    own.
    """

    __slots__ = ("_event", "type")

    def __init__(self, turn: Turn, name: str, *, where: Place, event: wire.SentEvent) -> None:
        super().__init__(turn, name, where=where)
        self._event = event
        self.type = "sendEvent" if turn.call is not None else "run"

    async def _begin(self) -> None:
        turn = self._turn
        await turn.may_start(self.id)
        if turn.call is not None:
            turn.replay.ops.append(wire.SendEvent(self.id, (self._event,)))
            return
        assert turn.around.send is not None
        own = idempotency_key(turn.invoke.run_id, step=self.id)
        event = wire.SentEvent(self._event.name, self._event.data, self._event.id or own)
        try:
            sent = await turn.run_code(self.id, turn.around.send, (event,), {})
        except Exception as error:  # noqa: BLE001 - the step's failure, reported as data
            turn.replay.ops.append(wire.StepFailed(self.id, as_data(error)))
        else:
            turn.replay.ops.append(wire.StepDone(self.id, PLAIN.dump([sent])))

    def _restore(self, data: Any) -> str:
        if not isinstance(data, list) or len(data) != 1:
            raise NotJson("is not the id of one event")
        return str(data[0])


def _error_of(entry: Any) -> wire.ErrorData:
    try:
        return wire.decode_error(entry)
    except wire.InvalidMessage:
        return wire.ErrorData("Error", "the journal holds no readable error")
