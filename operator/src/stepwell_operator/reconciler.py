"""One object at a time: look at it, compare with the engine, do what is missing, write status if it changed.

Level-triggered: what counts is the object as it is, never which change led here, so every call may be repeated and two
operators at once do no more than one. Status is written once per pass, as a whole; a status equal to the present one is
not sent. What has to go because its object is gone is the sweep's business, which compares lists.
"""

import logging

from .conditions import Type, conditions
from .context import Context, Verdict
from .handlers import HANDLERS
from .objects import Json, Key, generation_of, is_being_deleted, status_of
from .world import StatusConflict

_log = logging.getLogger("stepwell.operator")


class Reconciler:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def reconcile(self, key: Key) -> float | None:
        """Handle one object; answers after how many seconds to look again, or None. Raises WorldError, StepwellError."""
        obj = self._context.world.store.get(key)
        if obj is None or is_being_deleted(obj):
            return None
        verdict = await HANDLERS[key.kind](self._context, obj)
        if verdict.delete:
            await self._context.world.delete(obj)
            return None
        status = self.status(obj, verdict)
        if status != status_of(obj):
            await self._write(key, obj, status)
        return verdict.again

    def status(self, obj: Json, verdict: Verdict) -> Json:
        """The whole status that a verdict makes of an object."""
        generation = generation_of(obj)
        made = conditions(
            verdict.facts,
            generation=generation,
            before=status_of(obj).get("conditions") or [],
            now=self._context.now(),
            ready=verdict.ready,
        )
        return {"observedGeneration": generation, "conditions": made, **verdict.fields}

    async def _write(self, key: Key, obj: Json, status: Json) -> None:
        try:
            await self._context.world.write_status(obj, status)
        except StatusConflict:
            await self._context.world.fetch(key)
            raise
        refusal = _refusal(status)
        if refusal is not None and refusal != _refusal(status_of(obj)):
            reason, message = refusal
            _log.warning("%s: %s: %s", key, reason, message)
            await self._context.world.announce(obj, reason=reason, message=message)


def _refusal(status: Json) -> tuple[str, str] | None:
    """Reason and message of what a person must act on."""
    for condition in status.get("conditions", ()):
        if condition["type"] in (Type.ACCEPTED, Type.RESOLVED_REFS) and condition["status"] == "False":
            return condition["reason"], condition["message"]
    return None
