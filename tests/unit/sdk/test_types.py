"""What a type checker sees: the types of the user's own functions, and no Any."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import asyncio
from typing import assert_type

from pydantic import BaseModel, JsonValue
from stepwell import App, Event, Function, ReceivedEvent, Step, SyncStep

app = App("typed")


class Order(BaseModel):
    id: str


class Charge(BaseModel):
    id: str


async def charge(order: Order, *, retry: bool = False) -> Charge: ...
def notify(text: str) -> int: ...


@app.function(on=Event("order.placed"))
async def fulfil(step: Step, order: Order) -> Charge:
    assert_type(await step.run("charge", charge, order, retry=True), Charge)
    assert_type(await step.run("notify", notify, "x"), int)
    later = step.run.later("notify", notify, "x")
    assert_type(await later, int)
    assert_type(await step.parallel(step.run.later("a", charge, order), step.run.later("b", notify, "x")), tuple[Charge, int])
    assert_type(await step.parallel(a=step.run.later("c", notify, "x")), dict[str, int])
    first, second = await asyncio.gather(step.run("d", charge, order), step.run("e", notify, "x"))
    assert_type(first, Charge)
    assert_type(second, int)
    assert_type(await step.sleep("nap", "1s"), None)
    assert_type(await step.wait_for_event("w", "x"), ReceivedEvent[JsonValue] | None)
    assert_type(await step.wait_for_event("w", "x", data=Order), ReceivedEvent[Order] | None)
    assert_type(await step.send_event("s", "x"), str)
    return first


@app.function()
def plain(step: SyncStep, order: Order) -> int:
    assert_type(step.run("charge", charge, order), Charge)
    assert_type(step.parallel(step.run.later("a", charge, order), step.run.later("b", notify, "x")), tuple[Charge, int])
    return step.run("notify", notify, "x")


@app.function()
async def bare(step: Step) -> None: ...


@app.step("reserve")
async def reserve(step: Step, order: Order) -> Charge: ...


assert_type(fulfil, Function[Order, Charge])
assert_type(plain, Function[Order, int])
assert_type(bare, Function[None, None])
"""

WRONG = """
from stepwell import App, Step

app = App("typed")


async def charge(cents: int) -> int: ...


@app.function()
async def f(step: Step, order: str) -> None:
    await step.run("a", charge, "five")
    await step.run("b", charge)
    step.run("c", charge, 5)
    await f.start(5)
"""


CONFIG = """
[mypy]
strict = true
disallow_any_expr = true
enable_error_code = unused-awaitable
disable_error_code = empty-body
"""


def mypy(folder: Path, program: str) -> str:
    file = folder / "program.py"
    file.write_text(program)
    config = folder / "mypy.ini"
    config.write_text(CONFIG)
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--config-file",
        str(config),
        "--cache-dir",
        str(folder / "cache"),
        str(file),
    ]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder).stdout


def test_user_code_is_fully_typed(tmp_path: Path) -> None:
    found = mypy(tmp_path, PROGRAM)
    assert "Success" in found, found


def test_wrong_calls_are_type_errors(tmp_path: Path) -> None:
    found = mypy(tmp_path, WRONG)
    lines = {int(line.split(":")[1]) for line in found.splitlines() if ": error: " in line}
    start = WRONG.splitlines().index('    await step.run("a", charge, "five")') + 1
    assert lines >= {start, start + 1, start + 2, start + 3}, found
