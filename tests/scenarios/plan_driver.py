"""A driver for workflow plans that is all memory: it executes actions against a script and keeps a journal.

It does what the engine's driver does, without database, app or clock, and can lose everything but the journal at any
moment. `Script` says how each step behaves; whatever it does not name completes at once with {"of": <step>}.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from stepwell_engine.definition import WorkflowSpec
from stepwell_engine.plan import (
    Action,
    CallStep,
    Cancel,
    Complete,
    Completed,
    Fail,
    Failed,
    FailStep,
    HttpStep,
    PlanState,
    Skipped,
    SkipStep,
    StartSleep,
    StartWait,
    Stop,
    advance,
)
from stepwell_engine.retry import GiveUp, decide

START = datetime(2026, 7, 5, 9, tzinfo=UTC)
Choose = Callable[[int], int]


def first(_: int) -> int:
    return 0


@dataclass(frozen=True)
class Script:
    """`fails`: step → how many attempts fail. `events`: step → what its wait gets; a wait without one times out."""

    fails: Mapping[str, int] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    events: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Driver:
    """One run. `called` lists every call made, `journal` what is on record."""

    spec: WorkflowSpec
    script: Script = field(default_factory=Script)
    input: Any = None
    journal: dict[str, Completed | Failed | Skipped] = field(default_factory=dict)
    waits: dict[str, Action] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    uncertain: dict[str, int] = field(default_factory=dict)
    in_flight: dict[str, Action] = field(default_factory=dict)
    called: list[CallStep | HttpStep] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    stop: Stop | None = None
    end: Complete | Fail | Cancel | None = None
    now: datetime = START
    ordinal: int = 0

    def state(self) -> PlanState:
        return PlanState(
            input=self.input,
            event={"id": "e1", "name": "order.placed", "data": self.input},
            run={"id": "r1"},
            results=dict(self.journal),
            pending=frozenset(self.in_flight) | frozenset(self.waits),
            attempts=dict(self.attempts),
            uncertain=dict(self.uncertain),
            stop=self.stop,
        )

    def ask(self) -> tuple[Action, ...]:
        """Ask the plan and put what it wants under way; gives what it asked for."""
        while True:
            actions = advance(self.spec, self.state(), now=self.now).actions
            for action in actions:
                self._begin(action)
            if not any(isinstance(action, SkipStep | FailStep) for action in actions):
                return actions

    def crash(self) -> None:
        """Lose what is not on record: calls in flight. Timers, waits and attempts are in the database."""
        self.in_flight.clear()

    def cancel(self, *, error: Mapping[str, Any] | None = None, compensate: bool = True) -> None:
        self.stop = Stop(error=error, compensate=compensate)
        self.waits.clear()

    def settle(self, choose: Choose = first) -> str:
        """Let one of the things under way come to its end; gives its name."""
        under_way = sorted(self.in_flight) + sorted(self.waits)
        name = under_way[choose(len(under_way))]
        if name in self.waits:
            self._wake(name, self.waits.pop(name))
        else:
            self._answer(name, self.in_flight.pop(name))
        return name

    def run(self, choose: Choose = first) -> "Driver":
        for _ in range(1000):
            self.ask()
            if self.end is not None:
                return self
            self.settle(choose)
        raise AssertionError("the run does not end")

    @property
    def calls(self) -> list[str]:
        return [call.step for call in self.called]

    def output(self, step: str) -> Any:
        settled = self.journal[step]
        assert isinstance(settled, Completed)
        return settled.output

    def _begin(self, action: Action) -> None:
        match action:
            case CallStep() | HttpStep():
                assert action.step not in self.journal, f"{action.step} was called although its result is on record"
                assert action.step not in self.in_flight, f"{action.step} was called twice at once"
                self.called.append(action)
                self.in_flight[action.step] = action
                self.started.append(action.step)
            case StartSleep() | StartWait():
                self.waits[action.step] = action
                self.started.append(action.step)
            case SkipStep():
                self._record(action.step, Skipped(ordinal=0))
            case FailStep():
                self._record(action.step, Failed(error=action.error, ordinal=0))
            case Complete() | Fail() | Cancel():
                assert not self.in_flight, f"the run ended while {sorted(self.in_flight)} were under way"
                self.end = action

    def _answer(self, name: str, action: Action) -> None:
        assert isinstance(action, CallStep | HttpStep)
        assert action.attempt == self.attempts.get(name, 0) + 1
        if self.attempts.get(name, 0) >= self.script.fails.get(name, 0):
            self._record(name, Completed(output=self.script.outputs.get(name, {"of": name}), ordinal=0))
            return
        self.attempts[name] = self.attempts.get(name, 0) + 1
        verdict = decide(action.retries, attempts_used=self.attempts[name])
        if isinstance(verdict, GiveUp):
            self._record(name, Failed(error={"name": "Boom", "message": f"{name} broke"}, ordinal=0))
        else:
            self.waits[name] = StartSleep(step=name, until=self.now + verdict.delay)

    def _wake(self, name: str, action: Action) -> None:
        if isinstance(action, StartSleep) and name in self.attempts:
            return  # a backoff is over: the step is asked for again
        self.now += timedelta(seconds=1)
        output = self.script.events.get(name) if isinstance(action, StartWait) else None
        self._record(name, Completed(output=output, ordinal=0))

    def _record(self, name: str, result: Completed | Failed | Skipped) -> None:
        assert name not in self.journal, f"{name} was settled twice"
        self.ordinal += 1
        self.journal[name] = replace(result, ordinal=self.ordinal)
