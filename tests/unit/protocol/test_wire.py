"""Messages: what is written reads back the same, and what is wrong is refused with its place."""

import json
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from stepwell_protocol import limits, wire
from stepwell_protocol.strict_json import Codec

ORJSON = Codec(orjson.loads, orjson.dumps)
WAYS = pytest.mark.parametrize("codec", [None, ORJSON], ids=["judge", "codec"])
NINE = datetime(2026, 7, 5, 9, tzinfo=UTC)

OPERATIONS: list[wire.Operation] = [
    wire.StepDone("charge", b'{"ok":true}', 1.5),
    wire.StepDone('quo"te\u2028', b"null"),
    wire.SleepUntil("cooldown", NINE),
    wire.WaitFor("approve", "approval.received", b'{"orderId":"o1"}', NINE),
    wire.WaitFor("approve", "approval.received"),
    wire.Done(b"[1,2]"),
    wire.StepFailed(
        "mail", wire.ErrorData("SmtpError", "no route", "Traceback …", retryable=True, retry_after=2.5), 12
    ),
    wire.RunError(wire.ErrorData("ValueError", "bad", retryable=False)),
    wire.InvokeRun("child", "shipping", b"{}", detached=True),
    wire.Signal("sign", "signoff", NINE),
    wire.SendEvent("tell", (wire.SentEvent("a", b"1"), wire.SentEvent("b", b'{"x":1.50}', "id-1"))),
    wire.Progress(3, 10, "a third"),
    wire.Log("info", "hello"),
    wire.Continue(),
]


@WAYS
def test_every_operation_reads_back_as_it_was_written(codec: Codec | None) -> None:
    answer = wire.Answer(token=7, seq=2, ops=tuple(OPERATIONS), time=1_783_242_000_000)
    assert wire.decode_answer_v2(wire.encode_answer_v2(answer), codec=codec) == answer


@WAYS
def test_a_result_keeps_the_bytes_it_arrived_in(codec: Codec | None) -> None:
    raw = b'{ "op": "step", "data": { "b": 1.0, "a": [1e3, "\\u00e9"] }, "id": "x" }'
    assert wire.decode_answer_v1(raw, codec=codec) == wire.StepDone("x", b'{ "b": 1.0, "a": [1e3, "\\u00e9"] }')


@WAYS
@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"op":"step","id":"send-email","data":1}', wire.StepDone("send-email", b"1")),
        (b'{"op":"step","id":"send-email"}', wire.StepDone("send-email", b"null")),
        (b'{"op":"sleep","id":"cooldown","until":"2026-07-05T09:00:00.000Z"}', wire.SleepUntil("cooldown", NINE)),
        (
            b'{"op":"wait","id":"a","event":"e","match":null,"until":"2026-07-05T09:00:00.000Z"}',
            wire.WaitFor("a", "e", None, NINE),
        ),
        (b'{"op":"done","data":{"a":1}}', wire.Done(b'{"a":1}')),
        (
            b'{"op":"error","id":"x","message":"boom","retryable":false}',
            wire.StepFailed("x", wire.ErrorData("Error", "boom", retryable=False)),
        ),
        (b'{"op":"error","id":null,"message":"boom","retryable":true}', wire.RunError(wire.ErrorData("Error", "boom"))),
    ],
)
def test_the_five_answers_of_version_1(raw: bytes, expected: wire.Operation, codec: Codec | None) -> None:
    assert wire.decode_answer_v1(raw, codec=codec) == expected


def test_the_five_answers_of_version_1_are_written_as_the_protocol_shows_them() -> None:
    error = wire.ErrorData("X", "boom", retryable=True)
    written = [
        wire.encode_answer_v1(op)
        for op in (wire.StepDone("a", b"1", 3.0), wire.StepFailed("a", error), wire.RunError(error), OPERATIONS[2])
    ]
    assert written == [
        b'{"op":"step","id":"a","data":1}',
        b'{"op":"error","id":"a","message":"boom","retryable":true}',
        b'{"op":"error","id":null,"message":"boom","retryable":true}',
        b'{"op":"sleep","id":"cooldown","until":"2026-07-05T09:00:00.000Z"}',
    ]


def test_version_1_refuses_operations_it_has_no_word_for() -> None:
    with pytest.raises(wire.InvalidMessage, match="version 1"):
        wire.encode_answer_v1(wire.Continue())
    with pytest.raises(wire.InvalidMessage, match=r"answer\.op: must be step, sleep, wait, done or error"):
        wire.decode_answer_v1(b'{"op":"continue"}')


@WAYS
@pytest.mark.parametrize(
    ("ops", "message"),
    [
        ("{}", "answer.ops: must be an array"),
        ("[1]", "answer.ops[0]: must be an object; got 1"),
        ("[{}]", "answer.ops[0].op: must be one of step"),
        ('[{"op":["step"]}]', "answer.ops[0].op: must be one of step"),
        ('[{"op":"step"}]', "answer.ops[0].id: must be a string of 1 to 256 characters; it is missing"),
        (
            '[{"op":"continue"},{"op":"step","id":5}]',
            "answer.ops[1].id: must be a string of 1 to 256 characters; got 5",
        ),
        ('[{"op":"sleep","id":"a","until":"soon"}]', "answer.ops[0].until: 'soon' is not a time"),
        ('[{"op":"sleep","id":"a"}]', "answer.ops[0].until: must be a time"),
        ('[{"op":"wait","id":"a","event":"e","match":[1]}]', "answer.ops[0].match: must be an object; got an array"),
        ('[{"op":"fail","id":"a","error":1}]', "answer.ops[0].error: must be an object; got 1"),
        ('[{"op":"fail","id":"a","error":{"retryable":1}}]', "answer.ops[0].error.retryable: must be true or false"),
        ('[{"op":"fail","id":"a","error":{"retryAfter":-1}}]', "answer.ops[0].error.retryAfter: must be a number"),
        ('[{"op":"sendEvent","id":"a","events":[{"name":""}]}]', "answer.ops[0].events[0].name: must be a string"),
        ('[{"op":"step","id":"a","ms":"3"}]', "answer.ops[0].ms: must be a number"),
    ],
)
def test_a_wrong_field_is_named(ops: str, message: str, codec: Codec | None) -> None:
    with pytest.raises(wire.InvalidMessage) as refusal:
        wire.decode_answer_v2(b'{"token":1,"seq":1,"ops":%b}' % ops.encode(), codec=codec)
    assert message in str(refusal.value)


@WAYS
@pytest.mark.parametrize(
    "raw", [b"[]", b"1", b'{"token":-1,"seq":1,"ops":[]}', b'{"token":true,"seq":1,"ops":[]}', b'{"seq":1}']
)
def test_an_answer_without_token_and_number_is_refused(raw: bytes, codec: Codec | None) -> None:
    with pytest.raises(wire.InvalidMessage, match=r"^answer"):
        wire.decode_answer_v2(raw, codec=codec)


@WAYS
@pytest.mark.parametrize("over", [0, 1])
def test_a_result_is_limited_to_the_byte(over: int, codec: Codec | None) -> None:
    data = b'"' + b"x" * (limits.STEP_RESULT_BYTES - 2 + over) + b'"'
    raw = b'{"op":"step","id":"big","data":%b}' % data
    if not over:
        assert wire.decode_answer_v1(raw, codec=codec) == wire.StepDone("big", data)
        return
    with pytest.raises(wire.TooLarge, match=r"answer\.data: the step's result is 4,194,305 bytes; the limit is 4 MiB"):
        wire.decode_answer_v1(raw, codec=codec)


def test_long_error_texts_are_cut_on_both_sides() -> None:
    error = wire.ErrorData("N" * 1000, "m" * 100_000, "s" * 100_000)
    raw = wire.encode_answer_v2(wire.Answer(1, 1, (wire.StepFailed("a", error),)))
    assert len(raw) < 25_000
    op = wire.decode_answer_v2(raw).ops[0]
    assert isinstance(op, wire.StepFailed)
    assert len(op.error.message) == limits.ERROR_MESSAGE_CHARS
    assert op.error.message.endswith("…")


CALL = wire.Call(token=7, seq=1, start_by=1_783_242_005_000, end_by=1_783_242_030_000, budget_ms=10_000)


def test_a_version_1_call_is_written_as_the_protocol_shows_it() -> None:
    raw = wire.encode_invoke(
        "r1",
        function_id="onboarding",
        event=wire.encode_event("e1", name="user.created", data=b'{"a":1}'),
        entries=[wire.encode_entry("load-user", type="run", data=b'{"n": 1}')],
    )
    assert raw == (
        b'{"runId":"r1","functionId":"onboarding","event":{"id":"e1","name":"user.created","data":{"a":1}},'
        b'"steps":{"load-user":{"type":"run","data":{"n": 1}}}}'
    )
    call = wire.decode_invoke(raw)
    assert (call.call, call.input, call.steps) == (None, {"a": 1}, {"load-user": {"type": "run", "data": {"n": 1}}})


@WAYS
def test_a_version_2_call_reads_back(codec: Codec | None) -> None:
    error = wire.encode_error(wire.ErrorData("Declined", "no", retryable=False))
    raw = wire.encode_invoke(
        "r1",
        function_id="f",
        event=wire.encode_event("e1", name="x", data=b"null"),
        entries=[wire.encode_entry("a", type="run", error=error), wire.encode_entry("b", type="sleep")],
        terms=wire.Terms(CALL, revision=3, attempts={"c": 2}, pending=["d"], checkpoint_url="http://10.0.0.1:3030/c"),
    )
    call = wire.decode_invoke(raw, codec=codec)
    assert (call.call, call.revision, call.attempts, call.pending) == (CALL, 3, {"c": 2}, frozenset({"d"}))
    assert call.checkpoint_url == "http://10.0.0.1:3030/c"
    assert call.steps["a"]["error"]["name"] == "Declined"
    assert call.steps["b"] == {"type": "sleep", "data": None}


def test_a_workflow_call_reads_back() -> None:
    raw = wire.encode_workflow_call(
        "r1",
        workflow="fulfil",
        step_id="reserve",
        handler="reserve-stock",
        attempt=2,
        input=b'{"orderId":"o1"}',
        results={"check": b"true"},
        call=CALL,
    )
    call = wire.decode_invoke(raw)
    assert call.step == wire.WorkflowStep("reserve", "reserve-stock", 2, {"orderId": "o1"})
    assert (call.workflow, call.results, call.input, call.function_id) == (
        "fulfil",
        {"check": True},
        {"orderId": "o1"},
        None,
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"runId": None}, "call.runId"),
        ({"functionId": ""}, "call.functionId"),
        ({"event": 1}, "call.event"),
        ({"event": {"id": "e"}}, "call.event.name"),
        ({"steps": []}, "call.steps"),
        ({"steps": {"a": 1}}, "call.steps.a"),
        ({"call": {"token": 1}}, "call.call.seq"),
        ({"attempts": {"a": "1"}}, "call.attempts.a"),
        ({"pending": [1]}, "call.pending"),
        ({"checkpoint": {"url": 1}}, "call.checkpoint.url"),
        ({"workflow": "w", "step": {"id": "a", "handler": "h", "attempt": 0}}, "call.step.attempt"),
    ],
)
def test_a_wrong_call_names_the_field(change: dict[str, Any], message: str) -> None:
    body = {"runId": "r", "functionId": "f", "event": {"id": "e", "name": "n", "data": None}, "steps": {}} | change
    with pytest.raises(wire.InvalidMessage, match=message.replace(".", r"\.")):
        wire.decode_invoke(json.dumps(body).encode())


@WAYS
def test_checkpoints_read_back(codec: Codec | None) -> None:
    items = [wire.CheckpointItem("r1", 7, 2, tuple(OPERATIONS)), wire.CheckpointItem("r2", 8, 1, ())]
    assert wire.decode_checkpoint(wire.encode_checkpoint(items), codec=codec) == items
    reply = wire.encode_checkpoint_reply(
        [
            wire.encode_go(start_by=1, end_by=2, entries=[wire.encode_entry("a", type="sendEvent", data=b"[]")]),
            wire.encode_go(start_by=3, end_by=4),
            wire.encode_stop("cancelled"),
        ]
    )
    assert wire.decode_checkpoint_reply(reply, codec=codec) == [
        wire.Go(1, 2, {"a": {"type": "sendEvent", "data": []}}),
        wire.Go(3, 4),
        wire.Stop("cancelled"),
    ]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"{}", "checkpoint: must be an array"),
        (b"[1]", "checkpoint[0]: must be an object"),
        (b'[{"runId":"r","token":1,"seq":1,"ops":[{"op":"step"}]}]', "checkpoint[0].ops[0].id: must be"),
    ],
)
def test_a_wrong_checkpoint_is_named(raw: bytes, message: str) -> None:
    with pytest.raises(wire.InvalidMessage) as refusal:
        wire.decode_checkpoint(raw)
    assert message in str(refusal.value)
