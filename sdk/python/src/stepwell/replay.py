"""The memory of one call to a handler: what is journaled, what the code reached, what there is to report. No I/O, no
clock.

The handler runs from the top each time. Each step it reaches is looked up here by its id: a name's first use is the
name itself, the second `name#2`, in the order of calls. What the engine sent along is found at once; what is pending is
neither run nor reported; the rest is fresh. Two uses of one name at the same time are refused, because their order
would differ from call to call and with it the meaning of `name#2`.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from stepwell.errors import Mistake
from stepwell_protocol import limits
from stepwell_protocol.wire import Operation

#: The name of the error by which the engine knows that a handler no longer does what is journaled; it pauses the run.
NON_DETERMINISTIC: Final = "NonDeterministic"


class Reached(NamedTuple):
    """A step that the code reached: its id, its journal entry where there is one, and else whether it is fresh or pending."""

    id: str
    entry: Mapping[str, Any] | None
    fresh: bool


class NonDeterministic(Mistake):
    """The handler no longer reaches what it reached before."""


class Replay:
    """The journal as one call sees it, and what the code has made of it so far."""

    __slots__ = ("_open", "_pending", "_uses", "journal", "ops", "reached")

    def __init__(self, journal: Mapping[str, Any], *, pending: frozenset[str]) -> None:
        self.journal = dict(journal)
        self.reached: set[str] = set()
        self.ops: list[Operation] = []
        self._pending = pending
        self._uses: dict[str, int] = {}
        self._open: dict[str, object] = {}

    def reach(self, name: str, *, type: str, where: object = "") -> Reached:
        """Look up a step by its name; each call is one use of the name.

        Raises:
            Mistake: the name cannot be one, is in use at the same time, or was journaled as another kind of step.
        """
        if name in self._open:
            raise Mistake(
                f"two steps named {name!r} run at the same time ({self._open[name]} and {where}): "
                "give each branch its own name, such as " + repr(f"{name}-a")
            )
        use = self._uses.get(name)
        if use is None:
            if name not in _GOOD_NAMES:
                _learn(name, where)
            self._uses[name] = 1
            step = name
        else:
            self._uses[name] = use + 1
            step = f"{name}#{use + 1}"
        self.reached.add(step)
        entry = self.journal.get(step)
        if entry is not None:
            journaled = entry.get("type", type)
            if journaled != type:
                raise NonDeterministic(
                    f"step {step!r} was journaled as {journaled!r} and is now {type!r} ({where}): "
                    "keep the steps of runs under way as they were, or give the new step another name"
                )
            return Reached(step, entry, False)
        self._open[name] = where
        return Reached(step, None, step not in self._pending)

    def close(self, id: str) -> None:
        """The step has its result; its name may be used again."""
        self._open.pop(id.partition("#")[0], None)

    def unreached(self) -> list[str]:
        """Journaled steps that the code has not reached."""
        return [step for step in self.journal if step not in self.reached]

    def adopt(self, steps: Mapping[str, Any]) -> None:
        """Results that came while the call was under way."""
        self.journal.update(steps)

    @property
    def is_replaying(self) -> bool:
        """Whether the code is still on ground that it covered in an earlier call."""
        return any(step not in self.reached for step in self.journal)


def unreached_mistake(unreached: list[str]) -> NonDeterministic:
    """What to say about a handler that ended, or stopped, without reaching journaled steps."""
    listed = ", ".join(map(repr, unreached[:5])) + (" and more" if len(unreached) > 5 else "")
    return NonDeterministic(
        f"the handler did not reach {listed}, which an earlier call completed: the steps of a run under way must "
        "stay, in the same order; what they depend on (time, randomness, configuration) belongs into a step"
    )


_LONGEST_NAME: Final = limits.ID_CHARS - 8
_MOST_NAMES: Final = 10_000
#: Asked at every step of every call, mostly for the same names.
_GOOD_NAMES: Final[set[str]] = set()


def _learn(name: object, where: object) -> None:
    """Take a name into the good ones. Raises Mistake when it cannot be one."""
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME:
        raise Mistake(f"a step's name is a text of 1 to {_LONGEST_NAME} characters ({where}); got {name!r:.60}")
    if "#" in name or name.startswith("$") or "\0" in name or not name.isprintable():
        raise Mistake(
            f"a step's name has no '#', no control characters and no '$' in front ({where}): got {name!r:.60}"
        )
    if len(_GOOD_NAMES) >= _MOST_NAMES:
        _GOOD_NAMES.clear()
    _GOOD_NAMES.add(name)
