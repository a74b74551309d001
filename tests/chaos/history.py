"""What is on record after a chaos run, read from files alone.

`witness.jsonl` (the app's), `ledger.jsonl` (the client's), `nemesis.jsonl` (what was done to whom) and `dump.json`
(tables of the database at the end). Imports nothing of Stepwell. Values inside the bodies are cut out as the text they
were on the wire, so that "byte for byte" can be checked as such.
"""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_decoder = json.JSONDecoder()
_SPACE = " \t\r\n"


def members(text: str, start: int = 0) -> dict[str, str]:
    """The members of the JSON object at `start`, each value as the text it is written in."""
    found = {}
    position = _skip(text, start)
    assert text[position] == "{", f"not an object: {text[position : position + 40]!r}"
    position = _skip(text, position + 1)
    while text[position] != "}":
        name, position = _decoder.raw_decode(text, position)
        begin = _skip(text, _skip(text, position) + 1)
        _, end = _decoder.raw_decode(text, begin)
        found[name] = text[begin:end]
        position = _skip(text, end)
        if text[position] == ",":
            position = _skip(text, position + 1)
    return found


def _skip(text: str, position: int) -> int:
    while text[position] in _SPACE:
        position += 1
    return position


@dataclass(frozen=True, slots=True)
class Request:
    """An invocation as the app saw it: `steps` maps each step to its result's text."""

    order: int
    at: float
    run: str
    function: str
    event: str
    event_data: str
    steps: dict[str, str]


@dataclass(frozen=True, slots=True)
class Happening:
    order: int
    at: float
    run: str
    step: str
    data: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """One line of the client's ledger."""

    name: str
    key: str
    data: str
    outcome: str
    event: str | None
    attempts: int


@dataclass(frozen=True, slots=True)
class Fault:
    kind: str
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Result:
    """A result entry of the journal."""

    step: str
    type: str
    text: str
    at: float
    failed: bool


@dataclass(slots=True)
class Run:
    id: str
    function: str
    status: str
    activity: str | None
    event: str | None
    output: str | None
    error: str | None
    created: float
    results: list[Result] = field(default_factory=list)
    waits_on_record: list[tuple[str, float]] = field(default_factory=list)
    has_job: bool = False
    pending_due: list[float] = field(default_factory=list)


@dataclass(slots=True)
class History:
    requests: list[Request]
    starts: list[Happening]
    finishes: dict[tuple[str, str], list[str]]
    answers: dict[str, list[tuple[float, dict[str, str]]]]
    operations: list[Operation]
    faults: list[Fault]
    runs: dict[str, Run]
    events: dict[str, tuple[str, str, float]]
    lease_losses: int
    now: float

    @classmethod
    def read(cls, folder: Path) -> "History":
        requests, starts = [], []
        finishes: dict[tuple[str, str], list[str]] = defaultdict(list)
        answers: dict[str, list[tuple[float, dict[str, str]]]] = defaultdict(list)
        for order, line in enumerate(_lines(folder / "witness.jsonl")):
            match line["what"]:
                case "request":
                    requests.append(_request(order, line))
                case "start":
                    starts.append(Happening(order, line["t"], line["run"], line["step"]))
                case "finish":
                    finishes[line["run"], line["step"]].append(line["data"])
                case "answer":
                    answers[line["run"]].append((line["t"], members(line["body"])))
        operations = [
            Operation(line["name"], line["key"], line["data"], line["outcome"], line["id"], line["attempts"])
            for line in _lines(folder / "ledger.jsonl")
        ]
        faults = [Fault(line["kind"], line["began"], line["ended"]) for line in _lines(folder / "nemesis.jsonl")]
        dump = json.loads((folder / "dump.json").read_text())
        events = {row["id"]: (row["name"], row["data"], row["accepted_at"]) for row in dump["events"]}
        losses = sum(row["entry"] == "lease_lost" for row in dump["journal"])
        return cls(requests, starts, finishes, answers, operations, faults, _runs(dump), events, losses, dump["now"])


def _request(order: int, line: dict[str, Any]) -> Request:
    body = members(line["body"])
    event = members(body["event"])
    steps = {name: members(value)["data"] for name, value in members(body["steps"]).items()}
    return Request(
        order,
        line["t"],
        json.loads(body["runId"]),
        json.loads(body["functionId"]),
        json.loads(event["id"]),
        event.get("data", "null"),
        steps,
    )


def _runs(dump: dict[str, Any]) -> dict[str, Run]:
    runs = {
        row["id"]: Run(
            row["id"],
            row["name"],
            row["status"],
            row["activity"],
            row["event_id"],
            row["output"],
            row["error"],
            row["created_at"],
        )
        for row in dump["runs"]
    }
    for row in sorted(dump["journal"], key=lambda row: row["ordinal"]):
        run = runs[row["run_id"]]
        if row["entry"] in ("step_completed", "step_failed", "wait_completed"):
            failed = row["entry"] == "step_failed"
            text = row["error"] if failed else row["data"]
            text = "null" if text is None else text
            run.results.append(Result(row["step"], row["type"], text, row["committed_at"], failed))
        elif row["entry"] == "wait_started":
            run.waits_on_record.append((row["step"], row["committed_at"]))
    for row in dump["jobs"]:
        runs[row["run_id"]].has_job = True
    for row in dump["waits"]:
        if row["resolved_at"] is None and row["run_id"] in runs:
            runs[row["run_id"]].pending_due.append(row["due"])
    return runs


def _lines(path: Path) -> list[dict[str, Any]]:
    """A process that was killed while writing leaves at most one broken line, the last one before its successor's."""
    found = []
    for text in path.read_text(errors="replace").splitlines():
        try:
            found.append(json.loads(text))
        except ValueError:
            continue
    return found
