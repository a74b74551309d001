# ruff: noqa: T201
"""The judge of a chaos run. It imports nothing of Stepwell and asks nobody: it reads what is on record.

    R1  what was acknowledged is in the journal, unchanged; an event answered 2xx is stored as it was sent
    R2  at most one result per (run, step), and it is one that the app gave
    R3  no step starts after a request told the app that it was done
    R4  every request carries exactly the journal's first results, in order, byte for byte, and the event as it was sent
    R5  every run has ended as it should, or waits for something on record
    R7  no timer fired early; no schedule's instant fired twice
    R8  every stored event started one run; nothing is stored that nobody sent, or more often than sent; an approval that
        came in time was not missed

Version 1 has no deadline on the wire, so R3 can't be promised for a request that a frozen process sends when it wakes:
such a repetition right after a fault that freezes is counted, not condemned. A run that proves nothing fails too.

    PYTHONPATH=tests python -m chaos.checker FOLDER        judges again, offline
"""

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from chaos.history import History, Request, Run, members

#: A process that wakes up sends at once; what arrives later was sent by one that had looked at its lease.
_WAKING_SECONDS = 2.0
_CLOCK_GRAIN = 0.002
_MOST_ERRORS = {"flaky": 20}
_STARTED_BY = {
    "chaos.chain": "chain",
    "chaos.nap": "napper",
    "chaos.wait": "waiter",
    "chaos.flake": "flaky",
    "chaos.doom": "doomed",
}
_KNOWN = {*_STARTED_BY, "chaos.approval"}


@dataclass(frozen=True, slots=True)
class Violation:
    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}"


@dataclass(slots=True)
class Verdict:
    violations: list[Violation] = field(default_factory=list)
    figures: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        figures = ", ".join(f"{count} {name}" for name, count in self.figures.items())
        return "\n".join([figures, *(str(violation) for violation in self.violations[:40])])


def judge(history: History) -> Verdict:
    """All violations, and the figures that show how much was tried."""
    verdict = Verdict()
    for rule in (
        _events,
        _starts_per_event,
        _stored_per_operation,
        _results,
        _requests,
        _repetitions,
        _endings,
        _timers,
        _approvals,
    ):
        verdict.violations += rule(history)
    verdict.figures = {
        "operations": len(history.operations),
        "runs": len(history.runs),
        "requests": len(history.requests),
        "steps started": len(history.starts),
        "started again before acknowledgement": _started_again(history),
        "started again by a frozen process": len(list(_excused(history))),
        "leases lost": history.lease_losses,
        "faults": len(history.faults),
    }
    return verdict


def proves_nothing(history: History, *, wanted: Counter[str], least_runs: int) -> list[str]:
    """Why a run without violations still doesn't count."""
    reasons = []
    ok = sum(operation.outcome == "ok" for operation in history.operations)
    if ok < 0.9 * len(history.operations):
        reasons.append(f"only {ok} of {len(history.operations)} operations were ok")
    fired = Counter(fault.kind for fault in history.faults)
    reasons += [f"{kind}: {fired[kind]} of {count} fired" for kind, count in wanted.items() if fired[kind] < count]
    if len(history.runs) < least_runs:
        reasons.append(f"only {len(history.runs)} runs, {least_runs} are the least")
    if not history.lease_losses:
        reasons.append("no lease was lost")
    if not _started_again(history):
        reasons.append("no step was interrupted between its start and its acknowledgement")
    missing = set(_STARTED_BY.values()) - {run.function for run in history.runs.values()}
    reasons += [f"no run of {function}" for function in sorted(missing)]
    return reasons


def _events(history: History) -> Iterator[Violation]:
    for operation in history.operations:
        if operation.outcome != "ok":
            continue
        stored = history.events.get(operation.event or "")
        if stored is None:
            yield Violation("R1", f"event {operation.event} ({operation.key}) was acknowledged and is not stored")
        elif stored[:2] != (operation.name, operation.data):
            yield Violation("R1", f"event {operation.event} is stored as {stored[:2]}, was sent as {operation.data}")


def _starts_per_event(history: History) -> Iterator[Violation]:
    started: dict[str, list[Run]] = defaultdict(list)
    for run in history.runs.values():
        if run.event in history.events:
            started[run.event].append(run)
        elif run.function != "tick":
            yield Violation("R8", f"run {run.id} belongs to no stored event")
    for event, (name, _, _) in history.events.items():
        functions = [run.function for run in started[event]]
        if name in _STARTED_BY and functions != [_STARTED_BY[name]]:
            yield Violation("R8", f"event {event} ({name}) started {functions or 'nothing'}")


def _stored_per_operation(history: History) -> Iterator[Violation]:
    stored = Counter((name, json.loads(data)["key"]) for name, data, _ in history.events.values() if name in _KNOWN)
    for operation in history.operations:
        count = stored.pop((operation.name, operation.key), 0)
        least = 1 if operation.outcome == "ok" else 0
        if not least <= count <= operation.attempts:
            said = f"{operation.attempts} attempts that may count, outcome {operation.outcome}"
            yield Violation("R8", f"{operation.name} {operation.key} is stored {count} times after {said}")
    for (name, key), count in stored.items():
        yield Violation("R8", f"{name} {key} is stored {count} times, and nobody sent it")


def _results(history: History) -> Iterator[Violation]:
    for run in history.runs.values():
        for step, count in Counter(result.step for result in run.results).items():
            if count > 1:
                yield Violation("R2", f"run {run.id} has {count} results of {step}")
        for result in run.results:
            given = history.finishes.get((run.id, result.step), [])
            if result.failed:
                errors = [answer for _, answer in history.answers.get(run.id, []) if answer["op"] == '"error"']
                if json.dumps(result.step) not in [answer["id"] for answer in errors]:
                    yield Violation("R2", f"run {run.id}: the app never failed {result.step}: {result.text[:80]}")
            elif result.type == "run" and result.text not in given:
                yield Violation("R2", f"run {run.id}: the app never gave {result.step} = {result.text[:80]}")
        if run.status == "completed":
            ends = [answer["data"] for _, answer in history.answers.get(run.id, []) if answer["op"] == '"done"']
            if run.output not in ends:
                yield Violation("R2", f"run {run.id}: the app never ended it with {run.output}")


def _requests(history: History) -> Iterator[Violation]:
    for request in history.requests:
        run = history.runs.get(request.run)
        if run is None:
            yield Violation("R1", f"run {request.run} was called and is not stored")
            continue
        journaled = [(result.step, result.text) for result in run.results]
        carried = list(request.steps.items())
        known = dict(journaled)
        for step, text in carried:
            if step not in known:
                yield Violation("R1", f"run {run.id}: {step} was acknowledged and is not in the journal")
            elif known[step] != text:
                yield Violation("R1", f"run {run.id}: {step} was acknowledged as {text}, the journal has {known[step]}")
        if sorted(carried) != sorted(journaled[: len(carried)]):
            yield Violation("R4", f"run {run.id} was called with {list(request.steps)}, journaled are {list(known)}")
        stored = history.events.get(run.event or "")
        if stored is not None and request.event_data != stored[1]:
            yield Violation("R4", f"run {run.id} was called with event data {request.event_data}, sent was {stored[1]}")


def _repetitions(history: History) -> Iterator[Violation]:
    excused = set(_excused(history))
    for order, run, step in _after_acknowledgement(history):
        if (order, run, step) not in excused:
            yield Violation("R3", f"run {run}: {step} started again (line {order}) after it was acknowledged")


def _after_acknowledgement(history: History) -> Iterator[tuple[int, str, str]]:
    acknowledged: dict[tuple[str, str], int] = {}
    for request in history.requests:
        for step in request.steps:
            acknowledged.setdefault((request.run, step), request.order)
    for start in history.starts:
        if acknowledged.get((start.run, start.step), start.order) < start.order:
            yield start.order, start.run, start.step


def _excused(history: History) -> Iterator[tuple[int, str, str]]:
    at = {start.order: start.at for start in history.starts}
    freezes = [fault for fault in history.faults if fault.kind.startswith("freeze")]
    for order, run, step in _after_acknowledgement(history):
        if any(fault.began <= at[order] <= fault.ended + _WAKING_SECONDS for fault in freezes):
            yield order, run, step


def _endings(history: History) -> Iterator[Violation]:
    errors: Counter[str] = Counter()
    for run_id, answers in history.answers.items():
        errors[run_id] = sum(answer["op"] == '"error"' for _, answer in answers)
    for run in history.runs.values():
        if run.status == "active":
            waits = any(due > history.now - 1 for due in run.pending_due)
            # A tick may have begun just before the dump.
            if not waits and not (run.function == "tick" and run.has_job):
                yield Violation(
                    "R5", f"run {run.id} ({run.function}) is {run.activity} and waits for nothing on record"
                )
            elif run.function != "tick":
                yield Violation("R5", f"run {run.id} ({run.function}) has not ended: {run.activity}")
        elif run.function == "doomed":
            if run.status != "failed" or "never going to work" not in (run.error or ""):
                yield Violation("R5", f"run {run.id} (doomed) is {run.status} with {run.error}")
        elif run.status != "completed" and errors[run.id] < _MOST_ERRORS.get(run.function, 1):
            yield Violation("R5", f"run {run.id} ({run.function}) is {run.status} without a cause: {run.error}")


def _timers(history: History) -> Iterator[Violation]:
    due: dict[tuple[str, str], float] = {}
    for run, answers in history.answers.items():
        for _, answer in answers:
            if answer["op"] in ('"sleep"', '"wait"'):
                until = datetime.fromisoformat(json.loads(answer["until"])).timestamp()
                key = (run, json.loads(answer["id"]))
                # Of several answers that a crash made necessary the journal accepted one; the earliest is the bound.
                due[key] = min(until, due.get(key, until))
    for request in history.requests:
        for step, text in request.steps.items():
            moment = due.get((request.run, step))
            if moment is not None and text == "null" and request.at < moment - _CLOCK_GRAIN:
                yield Violation("R7", f"run {request.run}: {step} was over {moment - request.at:.3f} s early")
    ticks: Counter[str] = Counter(
        _instant(request) for request in _first_requests(history) if request.function == "tick"
    )
    for instant, count in ticks.items():
        if count > 1:
            yield Violation("R7", f"the schedule fired {count} times for {instant}")


def _first_requests(history: History) -> list[Request]:
    return list({request.run: request for request in reversed(history.requests)}.values())


def _instant(request: Request) -> str:
    """What makes a cron event unique: its data if it has any, else its id."""
    return request.event if request.event_data in ("null", "{}") else request.event_data


def _approvals(history: History) -> Iterator[Violation]:
    accepted: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for name, data, at in history.events.values():
        if name == "chaos.approval":
            accepted[json.loads(data)["key"]].append((data, at))
    for run in history.runs.values():
        if run.function != "waiter" or run.status != "completed":
            continue
        key = json.loads(history.events[run.event or ""][1])["key"] if run.event in history.events else ""
        outcome = next((result for result in run.results if result.step == "approval"), None)
        began = dict(run.waits_on_record).get("approval")
        if outcome is None or began is None:
            yield Violation("R1", f"run {run.id}: its wait is not in the journal")
        elif outcome.text != "null" and members(outcome.text)["data"] not in [data for data, _ in accepted[key]]:
            yield Violation("R8", f"run {run.id}: its wait got {outcome.text}, which nobody sent for {key}")
        elif outcome.text == "null" and any(began + 0.2 < at < began + 12 for _, at in accepted[key]):
            yield Violation("R8", f"run {run.id}: the approval of {key} came in time and was missed")


def _started_again(history: History) -> int:
    return sum(count - 1 for count in Counter((start.run, start.step) for start in history.starts).values())


if __name__ == "__main__":
    record = History.read(Path(sys.argv[1]))
    outcome = judge(record)
    print(outcome)
    sys.exit(bool(outcome.violations))
