"""The checker's own test: a sound history passes, and each planted fault is caught by the rule it breaks."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chaos.checker import judge, proves_nothing
from chaos.history import History, members

DATA = '{"key": "k1",  "amount": 12.50}'
UNTIL = "2026-01-01T00:00:10.000Z"
START = 1767225600.0  # 2026-01-01T00:00:00Z


class Record:
    """A run of `napper` (before, nap, after) and one of `waiter`, as files would tell it; then bent by a test."""

    def __init__(self) -> None:
        self.witness: list[dict[str, Any]] = []
        self.ledger: list[dict[str, Any]] = []
        self.nemesis: list[dict[str, Any]] = [{"kind": "kill engine", "began": START + 1, "ended": START + 2}]
        self.dump: dict[str, Any] = {
            "runs": [],
            "journal": [],
            "jobs": [],
            "waits": [],
            "events": [],
            "now": START + 100,
        }
        self.operation("chaos.nap", "e1", DATA)
        self.run("r1", "napper", "e1")
        self.call("r1", "napper", "e1", {}, at=1, step="before", gives='{"z": 1.0}')
        self.result("r1", "before", '{"z": 1.0}', at=1.2)
        self.call(
            "r1", "napper", "e1", {"before": '{"z": 1.0}'}, at=1.5, op={"op": "sleep", "id": "nap", "until": UNTIL}
        )
        self.result("r1", "nap", None, at=10, entry="wait_completed", kind="sleep")
        done = {"before": '{"z": 1.0}', "nap": "null"}
        self.call("r1", "napper", "e1", done, at=10.1, step="after", gives='{"z": 2}')
        self.result("r1", "after", '{"z": 2}', at=10.2)
        self.call("r1", "napper", "e1", {**done, "after": '{"z": 2}'}, at=10.3, op={"op": "done", "data": 7})

        waiting = '{"key": "k2"}'
        self.operation("chaos.wait", "e2", waiting, key="k2")
        self.operation("chaos.approval", "e3", waiting, key="k2", at=5)
        self.run("r2", "waiter", "e2", output="8")
        wait = {"op": "wait", "id": "approval", "event": "chaos.approval", "match": {"key": "k2"}, "until": UNTIL}
        self.call("r2", "waiter", "e2", {}, at=2, op=wait, data=waiting)
        self.entry("r2", "wait_started", "approval", None, at=2.1, kind="wait")
        event = f'{{"id": "e3", "name": "chaos.approval", "data": {waiting}}}'
        self.result("r2", "approval", event, at=5.1, entry="wait_completed", kind="wait")
        self.call("r2", "waiter", "e2", {"approval": event}, at=5.2, op={"op": "done", "data": 8}, data=waiting)

    def operation(self, name: str, event: str, data: str, *, key: str = "k1", at: float = 0) -> None:
        self.ledger.append({"name": name, "key": key, "data": data, "outcome": "ok", "id": event, "attempts": 1})
        self.dump["events"].append({"id": event, "name": name, "data": data, "accepted_at": START + at})

    def run(self, run: str, function: str, event: str, *, output: str = "7") -> None:
        facts = {"id": run, "name": function, "status": "completed", "activity": None, "event_id": event}
        self.dump["runs"].append({**facts, "output": output, "error": None, "created_at": START})

    def call(
        self,
        run: str,
        function: str,
        event: str,
        steps: dict[str, str],
        *,
        at: float,
        step: str | None = None,
        gives: str = "",
        op: dict[str, Any] | None = None,
        data: str = DATA,
    ) -> None:
        carried = ", ".join(f'"{name}": {{"type": "run", "data": {text}}}' for name, text in steps.items())
        body = (
            f'{{"runId": "{run}", "functionId": "{function}", '
            f'"event": {{"id": "{event}", "name": "x", "data": {data}}}, "steps": {{{carried}}}}}'
        )
        self.note("request", at, run=run, number=0, body=body)
        if step:
            self.note("start", at, run=run, step=step)
            self.note("finish", at, run=run, step=step, data=gives)
            self.note("answer", at, run=run, number=0, body=f'{{"op": "step", "id": "{step}", "data": {gives}}}')
        else:
            self.note("answer", at, run=run, number=0, body=json.dumps(op))

    def note(self, what: str, at: float, **facts: object) -> None:
        self.witness.append({"t": START + at, "what": what, **facts})

    def result(
        self, run: str, step: str, data: str | None, *, at: float, entry: str = "step_completed", kind: str = "run"
    ) -> None:
        self.entry(run, entry, step, data, at=at, kind=kind)

    def entry(self, run: str, entry: str, step: str, data: str | None, *, at: float, kind: str) -> None:
        facts = {"run_id": run, "ordinal": len(self.dump["journal"]) + 1, "entry": entry, "step": step, "type": kind}
        self.dump["journal"].append({**facts, "data": data, "error": None, "committed_at": START + at})

    def journaled(self, run: str, step: str) -> dict[str, Any]:
        found: dict[str, Any] = next(
            row
            for row in self.dump["journal"]
            if (row["run_id"], row["step"]) == (run, step) and row["entry"] != "wait_started"
        )
        return found

    def history(self, folder: Path) -> History:
        for name in ("witness", "ledger", "nemesis"):
            lines = "".join(json.dumps(line) + "\n" for line in getattr(self, name))
            (folder / f"{name}.jsonl").write_text(lines)
        (folder / "dump.json").write_text(json.dumps(self.dump))
        return History.read(folder)


def test_a_sound_history_passes(tmp_path: Path) -> None:
    assert judge(Record().history(tmp_path)).violations == []


def lost_result(record: Record) -> None:
    record.dump["journal"].remove(record.journaled("r1", "before"))


def changed_result(record: Record) -> None:
    record.journaled("r1", "before")["data"] = '{"z": 1}'


def lost_event(record: Record) -> None:
    del record.dump["events"][0]


def event_stored_otherwise(record: Record) -> None:
    record.dump["events"][0]["data"] = '{"key": "k1", "amount": 12.5}'


def second_result(record: Record) -> None:
    record.result("r1", "before", '{"z": 1.0}', at=1.3)


def invented_result(record: Record) -> None:
    record.witness = [line for line in record.witness if line["what"] != "finish" or line["step"] != "after"]


def invented_failure(record: Record) -> None:
    record.journaled("r1", "after")["entry"] = "step_failed"


def invented_output(record: Record) -> None:
    record.dump["runs"][0]["output"] = "70"


def started_after_acknowledgement(record: Record) -> None:
    record.call("r1", "napper", "e1", {}, at=30, step="before", gives='{"z": 3}')


def step_missing_in_a_request(record: Record) -> None:
    record.call("r1", "napper", "e1", {"nap": "null"}, at=11, op={"op": "done", "data": 7})


def request_with_a_rejected_attempt(record: Record) -> None:
    record.witness[2]["data"] = '{"z": 1.0}'
    record.call("r1", "napper", "e1", {"before": '{"z": 5}'}, at=11, op={"op": "done", "data": 7})


def event_changed_on_the_way(record: Record) -> None:
    record.call("r1", "napper", "e1", {}, at=11, op={"op": "done", "data": 7}, data='{"key": "k1"}')


def orphaned_run(record: Record) -> None:
    record.dump["runs"][0] |= {"status": "active", "activity": "queued", "output": None}


def run_failed_without_a_cause(record: Record) -> None:
    record.dump["runs"][0] |= {"status": "failed", "error": '{"message": "oops"}', "output": None}


def sleep_ended_early(record: Record) -> None:
    for line in record.witness:
        line["t"] = min(line["t"], START + 9.9)


def instant_fired_twice(record: Record) -> None:
    for run in ("t1", "t2"):
        record.run(run, "tick", "none", output="1")
        record.call(run, "tick", "cron-1", {}, at=20, op={"op": "done", "data": 1}, data='{"instant": 20}')


def event_started_two_runs(record: Record) -> None:
    record.run("r3", "napper", "e1")
    record.call("r3", "napper", "e1", {}, at=20, op={"op": "done", "data": 7})


def event_started_nothing(record: Record) -> None:
    record.operation("chaos.chain", "e9", '{"key": "k9"}', key="k9")


def refused_event_started_a_run(record: Record) -> None:
    record.ledger[0] |= {"outcome": "fail: 401", "id": None, "attempts": 0}


def run_nobody_asked_for(record: Record) -> None:
    del record.ledger[0]


def event_stored_more_often_than_sent(record: Record) -> None:
    record.dump["events"].append({**record.dump["events"][0], "id": "e8"})
    record.run("r8", "napper", "e8")


def wrong_function_started(record: Record) -> None:
    record.ledger[0]["name"] = "chaos.doom"
    record.dump["events"][0]["name"] = "chaos.doom"


def approval_missed(record: Record) -> None:
    record.journaled("r2", "approval")["data"] = None


def approval_of_somebody_else(record: Record) -> None:
    record.journaled("r2", "approval")["data"] = '{"id": "e9", "data": {"key": "k3"}}'


PLANTED: list[tuple[str, Callable[[Record], None]]] = [
    ("R1", lost_result),
    ("R1", changed_result),
    ("R1", lost_event),
    ("R1", event_stored_otherwise),
    ("R2", second_result),
    ("R2", invented_result),
    ("R2", invented_failure),
    ("R2", invented_output),
    ("R3", started_after_acknowledgement),
    ("R4", step_missing_in_a_request),
    ("R1", request_with_a_rejected_attempt),
    ("R4", event_changed_on_the_way),
    ("R5", orphaned_run),
    ("R5", run_failed_without_a_cause),
    ("R7", sleep_ended_early),
    ("R7", instant_fired_twice),
    ("R8", event_started_two_runs),
    ("R8", event_started_nothing),
    ("R8", refused_event_started_a_run),
    ("R8", run_nobody_asked_for),
    ("R8", event_stored_more_often_than_sent),
    ("R8", wrong_function_started),
    ("R8", approval_missed),
    ("R8", approval_of_somebody_else),
]


@pytest.mark.parametrize(("rule", "plant"), PLANTED, ids=[plant.__name__ for _, plant in PLANTED])
def test_a_planted_fault_is_caught(tmp_path: Path, rule: str, plant: Callable[[Record], None]) -> None:
    record = Record()
    plant(record)
    assert rule in {violation.rule for violation in judge(record.history(tmp_path)).violations}


def test_a_repetition_by_a_frozen_process_is_counted_not_condemned(tmp_path: Path) -> None:
    record = Record()
    started_after_acknowledgement(record)
    record.nemesis.append({"kind": "freeze engine", "began": START + 25, "ended": START + 29})
    verdict = judge(record.history(tmp_path))
    assert verdict.violations == []
    assert verdict.figures["started again by a frozen process"] == 1


def test_a_repetition_long_after_a_freeze_is_condemned(tmp_path: Path) -> None:
    record = Record()
    started_after_acknowledgement(record)
    record.nemesis.append({"kind": "freeze engine", "began": START + 20, "ended": START + 27})
    assert {violation.rule for violation in judge(record.history(tmp_path)).violations} == {"R3"}


def test_a_run_that_proves_nothing_says_why(tmp_path: Path) -> None:
    record = Record()
    record.ledger[0]["outcome"] = "unknown"
    reasons = proves_nothing(record.history(tmp_path), wanted=Counter({"power cut": 1}), least_runs=10)
    assert "only 2 of 3 operations were ok" in reasons
    assert "power cut: 0 of 1 fired" in reasons
    assert "only 2 runs, 10 are the least" in reasons
    assert "no lease was lost" in reasons
    assert "no step was interrupted between its start and its acknowledgement" in reasons
    assert "no run of chain" in reasons


def test_values_are_cut_out_as_they_were_written() -> None:
    text = '{"a" : 1.50, "b": {"c":"\\u00e9"} ,"d":[ 1,2 ]}'
    assert members(text) == {"a": "1.50", "b": '{"c":"\\u00e9"}', "d": "[ 1,2 ]"}
