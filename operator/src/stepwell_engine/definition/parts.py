"""The parts that Functions and Workflows share: triggers, input schema, retries, timeouts, and policies still to
come."""

from functools import partial

from ..cron import Cron, InvalidSchedule, parse_cron, zone_of
from ..expressions import InvalidExpression, compile_expression
from ..retry import Backoff, Growth, RetryPolicy
from ..schemas import InputSchema, InvalidSchema
from .reader import Reader
from .spec import CronTrigger, EventTrigger, Timeouts, Trigger

MOST_TRIGGERS = 16
MOST_ATTEMPTS = 1000
POLICIES = ("concurrency", "throttle", "rateLimit", "debounce", "batch", "singleton", "cancelOn", "idempotency")


def read_triggers(reader: Reader) -> tuple[Trigger, ...]:
    found: list[Trigger] = []
    for entry in reader.objects("triggers", most=MOST_TRIGGERS):
        kind = entry.one_of(("event", "cron", "http", "completion"), what="a trigger")
        trigger: Trigger | None = None
        match kind:
            case "event":
                trigger = _event_trigger(entry)
            case "cron":
                trigger = _cron_trigger(entry)
            case "http" | "completion":
                entry.unsupported(kind, what=f"the trigger {kind}")
            case _:
                pass
        entry.close()
        if trigger is not None:
            found.append(trigger)
    return tuple(found)


def _event_trigger(entry: Reader) -> EventTrigger | None:
    event = entry.object("event", fix="write for example event: {name: order.paid}")
    if event is None:
        return None
    name = event.text("name", required=True, longest=256, fix="write the event's name, such as order.paid")
    condition = event.text("if", fix="write a CEL expression, such as \"event.data.plan == 'pro'\"")
    event.parsed("if", condition, partial(compile_expression, roots=("event",)), InvalidExpression)
    event.close()
    return None if name is None else EventTrigger(name=name, condition=condition)


def _cron_trigger(entry: Reader) -> CronTrigger | None:
    inner = entry.object("cron", fix='write for example cron: {schedule: "0 3 * * *", timeZone: Europe/Amsterdam}')
    if inner is None:
        return None
    cron = read_cron(inner)
    inner.close()
    return None if cron is None else CronTrigger(cron=cron)


def read_cron(reader: Reader) -> Cron | None:
    """`schedule` and `timeZone`."""
    zone = reader.text("timeZone", longest=64, fix='write an IANA name such as "Europe/Amsterdam"') or "UTC"
    schedule = reader.text("schedule", required=True, longest=256, fix='write for example "0 3 * * *"')
    try:
        zone_of(zone)
    except InvalidSchedule as error:
        reader.problems.add_refusal(reader.at("timeZone"), error)
        zone = "UTC"
    found: Cron | None = reader.parsed("schedule", schedule, partial(parse_cron, time_zone=zone), InvalidSchedule)
    return found


def read_input_schema(reader: Reader) -> InputSchema | None:
    inner = reader.object("input", fix="write input: {schema: {…}}")
    if inner is None:
        return None
    schema = inner.raw("schema")
    inner.close()
    if schema is None:
        return None
    try:
        return InputSchema(schema)
    except InvalidSchema as error:
        reader.problems.add_refusal(f"{inner.at('schema')}{error.place}", error)
        return None


def read_retries(reader: Reader, *, default: RetryPolicy | None = None) -> RetryPolicy:
    default = default or RetryPolicy()
    inner = reader.object("retries", fix="write for example retries: {maxAttempts: 5}")
    if inner is None:
        return default
    attempts = inner.integer("maxAttempts", default=default.max_attempts, least=1, most=MOST_ATTEMPTS)
    backoff = default.backoff
    shape = inner.object("backoff", fix="write for example backoff: {type: Exponential, initial: 1s, max: 60s}")
    if shape is not None:
        growth = shape.choice("type", Growth, default=backoff.growth)
        initial = shape.duration("initial")
        maximum = shape.duration("max")
        shape.close()
        initial = initial or min(backoff.initial, maximum or backoff.initial)
        maximum = maximum or max(backoff.maximum, initial)
        if maximum < initial:
            shape.problems.add(
                shape.at("max"), "it is shorter than initial", fix="make max at least as long as initial"
            )
        backoff = Backoff(growth=growth, initial=initial, maximum=maximum)
    inner.close()
    return RetryPolicy(max_attempts=attempts, backoff=backoff)


def read_timeouts(reader: Reader) -> Timeouts:
    inner = reader.object("timeouts", fix="write for example timeouts: {step: 30s, run: 7d}")
    if inner is None:
        return Timeouts()
    found = Timeouts(step=inner.duration("step"), start=inner.duration("start"), run=inner.duration("run"))
    inner.close()
    return found


def refuse_policies(reader: Reader) -> None:
    for policy in POLICIES:
        reader.unsupported(policy)
