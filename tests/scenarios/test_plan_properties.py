"""Whatever order parallel steps are settled in, and whenever the process dies, a plan comes to the same journal."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scenarios.plan_driver import Driver, Script
from stepwell_engine.definition import parse_workflow
from stepwell_engine.plan import COMPENSATION_PREFIX, Completed, advance

KINDS = ("call", "undone", "sleep", "wait", "skipped", "flaky")


def leaf(name: str, kind: str) -> dict[str, Any]:
    step: dict[str, Any] = {"name": name}
    match kind:
        case "sleep":
            return step | {"sleep": {"for": "3s"}}
        case "wait":
            return step | {"waitForEvent": {"event": "e", "timeout": "7d"}}
        case "skipped":
            return step | {"call": {"handler": "x"}, "if": "input == 'never'"}
        case _:
            step |= {"call": {"handler": "x"}, "with": {"run": "${{ run.id }}"}}
            return step | ({} if kind == "call" else {"compensate": {"call": {"handler": "undo"}}})


@st.composite
def workflows(draw: st.DrawFn) -> tuple[dict[str, Any], Script]:
    """A document of up to five top-level steps, some parallel (two levels), and a script in which some steps fail."""
    names: list[str] = []
    fails: dict[str, int] = {}

    def step(level: int) -> dict[str, Any]:
        name = f"s{len(names)}"
        names.append(name)
        if level < 2 and draw(st.integers(0, 2)) == 0:
            branches = [step(level + 1) for _ in range(draw(st.integers(1, 3)))]
            return {"name": name, "parallel": branches}
        kind = draw(st.sampled_from(KINDS))
        if kind == "flaky":
            fails[name] = draw(st.integers(0, 3))
        if kind in ("flaky", "undone"):
            fails[COMPENSATION_PREFIX + name] = draw(st.sampled_from((0, 0, 1, 3)))
        return leaf(name, kind)

    steps = [step(0) for _ in range(draw(st.integers(1, 5)))]
    return {"steps": steps, "retries": {"maxAttempts": 2}}, Script(fails=fails)


def drive(document: dict[str, Any], script: Script, data: st.DataObject, *, crashes: int) -> Driver:
    driver = Driver(parse_workflow(document, name="w"), script)
    for _ in range(400):
        driver.ask()
        if driver.end is not None:
            return driver
        if crashes and data.draw(st.booleans(), label="crash"):
            crashes -= 1
            driver.crash()
        else:
            driver.settle(lambda count: data.draw(st.integers(0, count - 1), label="which"))
    raise AssertionError("the run does not end")


def settled(driver: Driver) -> dict[str, Any]:
    """What is on record, without the order in which it got there."""
    return {
        name: (type(result).__name__, result.output if isinstance(result, Completed) else None)
        for name, result in driver.journal.items()
    }


@given(workflows(), st.data())
def test_any_order_of_completion_leads_to_the_same_journal(case: tuple[dict[str, Any], Script], data: Any) -> None:
    document, script = case
    reference = Driver(parse_workflow(document, name="w"), script).run()
    other = drive(document, script, data, crashes=0)
    assert settled(other) == settled(reference)
    assert type(other.end) is type(reference.end)


@given(workflows(), st.data())
def test_any_crash_leads_to_the_same_journal(case: tuple[dict[str, Any], Script], data: Any) -> None:
    document, script = case
    reference = Driver(parse_workflow(document, name="w"), script).run()
    other = drive(document, script, data, crashes=6)
    assert settled(other) == settled(reference)
    assert type(other.end) is type(reference.end)


@given(workflows(), st.data())
def test_compensation_runs_backwards_through_the_journal_after_all_other_work(
    case: tuple[dict[str, Any], Script], data: Any
) -> None:
    document, script = case
    driver = drive(document, script, data, crashes=6)
    undone = [name for name in driver.journal if name.startswith(COMPENSATION_PREFIX)]
    undoable = {step.name for step in driver.spec.walk() if step.compensate}
    done = [name for name, result in driver.journal.items() if name in undoable and isinstance(result, Completed)]
    if undone:
        assert [name.removeprefix(COMPENSATION_PREFIX) for name in undone] == done[::-1]
        forward = [result.ordinal for name, result in driver.journal.items() if name not in undone]
        assert max(forward) < min(driver.journal[name].ordinal for name in undone)


@given(workflows(), st.data())
def test_a_plan_asks_only_for_what_is_neither_settled_nor_pending(
    case: tuple[dict[str, Any], Script], data: Any
) -> None:
    document, script = case
    driver = Driver(parse_workflow(document, name="w"), script)
    for _ in range(data.draw(st.integers(0, 12))):
        driver.ask()
        if driver.end is not None:
            return
        driver.settle(lambda count: data.draw(st.integers(0, count - 1)))
    state = driver.state()
    asked = advance(driver.spec, state, now=driver.now)
    assert asked == advance(driver.spec, state, now=driver.now), "the same state gives the same answer"
    names = [action.step for action in asked.actions if hasattr(action, "step")]
    assert len(names) == len(set(names))
    assert not set(names) & (set(state.results) | state.pending)


@given(workflows(), st.data())
def test_a_cancel_at_any_moment_undoes_exactly_what_was_done(case: tuple[dict[str, Any], Script], data: Any) -> None:
    document, script = case
    driver = Driver(parse_workflow(document, name="w"), script)
    for _ in range(data.draw(st.integers(0, 12))):
        driver.ask()
        if driver.end is not None:
            return
        driver.settle(lambda count: data.draw(st.integers(0, count - 1)))
    driver.cancel()
    driver.run()
    undoable = {step.name for step in driver.spec.walk() if step.compensate}
    done = {name for name, result in driver.journal.items() if name in undoable and isinstance(result, Completed)}
    undone = {name.removeprefix(COMPENSATION_PREFIX) for name in driver.journal if name.startswith(COMPENSATION_PREFIX)}
    assert undone == done
    assert type(driver.end).__name__ == "Cancel"
