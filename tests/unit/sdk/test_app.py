"""What an app declares, where it finds the engine, and what importing the SDK costs."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from stepwell import App, Backoff, Cron, Event, Limit, Mistake, Step, SyncStep
from stepwell.settings import read_connection

PYTHON_SDK = Path(__file__).parents[3] / "sdk" / "python"


class Order(BaseModel):
    id: str
    total_cents: int = Field(alias="totalCents", ge=0)


@dataclass
class Reservation:
    sku: str


def test_a_function_becomes_a_definition_document() -> None:
    app = App("shop")

    @app.function(
        on=[
            Event("order.placed", condition="event.data.totalCents > 0"),
            Cron("0 3 * * *", time_zone="Europe/Amsterdam"),
        ],
        max_attempts=5,
        backoff=Backoff("500ms", 60, growth="Linear"),
        step_timeout=90,
        run_timeout="7d",
        concurrency=Limit(2, key="tenantId"),
        priority=10,
    )
    async def fulfil(step: Step, order: Order) -> None: ...

    assert app.definitions() == [
        {
            "id": "fulfil",
            "triggers": [
                {"event": {"name": "order.placed", "if": "event.data.totalCents > 0"}},
                {"cron": {"schedule": "0 3 * * *", "timeZone": "Europe/Amsterdam"}},
            ],
            "input": {
                "schema": {
                    "properties": {
                        "id": {"title": "Id", "type": "string"},
                        "totalCents": {"title": "Totalcents", "type": "integer", "minimum": 0},
                    },
                    "required": ["id", "totalCents"],
                    "title": "Order",
                    "type": "object",
                }
            },
            "retries": {"maxAttempts": 5, "backoff": {"type": "Linear", "initial": "500ms", "max": "1m"}},
            "timeouts": {"step": "90s", "run": "7d"},
            "concurrency": [{"limit": 2, "key": "tenantId"}],
            "priority": 10,
        }
    ]


def test_what_is_not_given_is_left_to_the_engine() -> None:
    app = App("shop")

    @app.function("by-hand")
    def by_hand(step: SyncStep) -> None: ...

    assert app.definitions() == [{"id": "by-hand", "triggers": []}]


def test_every_kind_of_input_has_a_schema() -> None:
    app = App("shop")

    @app.function()
    async def takes_dataclass(step: Step, given: Reservation) -> None: ...

    @app.function()
    async def takes_annotated(step: Step, given: Annotated[int, Field(gt=3)]) -> None: ...

    @app.function()
    async def takes_anything(step: Step, given) -> None: ...  # type: ignore[no-untyped-def]

    schemas = [document.get("input", {}).get("schema") for document in app.definitions()]
    assert schemas[0]["properties"] == {"sku": {"title": "Sku", "type": "string"}}
    assert schemas[1] == {"exclusiveMinimum": 3, "type": "integer"}
    assert schemas[2] is None


def test_a_bad_duration_is_refused_with_the_fix() -> None:
    app = App("shop")

    @app.function(step_timeout="soon")
    async def f(step: Step) -> None: ...

    with pytest.raises(Mistake, match="write whole numbers with a unit"):
        app.definitions()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"on": "order.placed"}, r"on: takes Event\(…\) or Cron\(…\); got 'order.placed'"),
        ({"backoff": "10ms"}, r"backoff: takes Backoff\(…\); got '10ms'"),
        ({"concurrency": 5}, r"concurrency: takes Limit\(…\); got 5"),
    ],
    ids=lambda part: next(iter(part)) if isinstance(part, dict) else None,
)
def test_a_policy_of_another_type_is_refused_with_the_fix(options: dict[str, Any], told: str) -> None:
    app = App("shop")
    app.function(**options)(lambda step: None)
    with pytest.raises(Mistake, match=told):
        app.definitions()


def test_a_description_is_made_anew_when_a_handler_joins() -> None:
    app = App("shop")
    assert json.loads(app.describe())["steps"] == []

    @app.step("reserve-stock")
    async def reserve(step: Step, given: Reservation) -> Order:
        return Order(id=given.sku, totalCents=0)

    (step,) = json.loads(app.describe())["steps"]
    assert (step["id"], step["input"]["title"], step["output"]["title"]) == ("reserve-stock", "Reservation", "Order")


def test_a_declared_function_can_be_called_as_it_was_written() -> None:
    app = App("shop")

    @app.function()
    def double(step: SyncStep, given: int) -> int:
        """Twice as much."""
        return given * 2

    assert double(None, 4) == 8
    assert (double.id, double.__doc__) == ("double", "Twice as much.")


def test_arguments_come_before_the_environment() -> None:
    environ = {"STEPWELL_URL": "http://engine/", "STEPWELL_APP_ID": "a", "STEPWELL_SIGNING_KEY": "k"}
    found = read_connection(url=None, app_id=None, signing_key=None, environ=environ)
    assert (found.url, found.app_id, found.signing_keys) == ("http://engine", "a", ("k",))
    given = read_connection(url="http://other", app_id="b", signing_key="l", environ=environ)
    assert (given.url, given.app_id, given.signing_keys) == ("http://other", "b", ("l",))


@pytest.mark.parametrize(
    ("url", "is_loopback"),
    [
        ("http://127.0.0.1:3030", True),
        ("http://localhost:3030", True),
        ("http://[::1]:3030", True),
        ("http://10.0.0.1", False),
        ("http://localhost.example", False),
        ("http://127.0.0.1.example", False),
    ],
)
def test_only_this_machine_is_loopback(url: str, is_loopback: bool) -> None:
    assert read_connection(url=url, app_id=None, signing_key=None, environ={}).is_loopback is is_loopback


def test_importing_the_package_takes_under_100_ms() -> None:
    took = min(_import_ms("import stepwell") for _ in range(3))
    assert took < 100, f"importing stepwell took {took:.0f} ms"


def test_declaring_an_app_opens_nothing_and_loads_no_http_client() -> None:
    code = (
        "import sys; from stepwell import App, Event; app = App('a'); app.function(on=Event('x'))(lambda step: 1); "
        "sys.exit(any(name in sys.modules for name in ('asyncio', 'ssl', 'httptools', 'uvicorn', 'stepwell_engine')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_only_httptools_and_pydantic_are_needed() -> None:
    code = (
        "import sys, stepwell; [getattr(stepwell, name) for name in stepwell.__all__]; import stepwell.testing; "
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    loaded = set(
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    )
    foreign = {name for name in loaded - set(sys.stdlib_module_names) if not name.startswith("_")}
    assert foreign - {"cython_runtime", "sitecustomize", "distutils", "usercustomize"} <= {
        "annotated_types",
        "httptools",
        "pydantic",
        "pydantic_core",
        "stepwell",
        "stepwell_protocol",
        "typing_extensions",
        "typing_inspection",
    }


def test_the_plain_client_is_what_the_async_one_gives() -> None:
    done = subprocess.run(
        [sys.executable, str(PYTHON_SDK / "tools" / "sync_client.py"), "--check"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def _import_ms(code: str) -> float:
    done = subprocess.run([sys.executable, "-X", "importtime", "-c", code], check=True, capture_output=True, text=True)
    last = re.search(r"\|\s*(\d+) \| stepwell$", done.stderr, re.MULTILINE)
    assert last is not None
    return int(last[1]) / 1000
