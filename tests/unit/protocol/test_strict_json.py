"""Strict JSON: what both sides read alike is accepted, all else is refused, by either way through."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell_protocol.strict_json import Codec, StrictJsonError, load_sliced, loads, slice_of

ORJSON = Codec(orjson.loads, orjson.dumps)
WAYS = pytest.mark.parametrize("codec", [None, ORJSON], ids=["judge", "codec"])

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_characters="\0", codec="utf-8")), inner)
    ),
    max_leaves=20,
)


@WAYS
@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"[" * 65 + b"]" * 65, "nested deeper than 64 levels"),
        (b"[" * 20_000 + b"]" * 20_000, "nested deeper than 64 levels"),
        (b'{"a":' * 20_000, "nested deeper than 64 levels"),
        (b"[NaN]", "NaN is not a JSON number"),
        (b"[-Infinity]", "-Infinity is not a JSON number"),
        (b"1e999", "beyond the range of a double"),
        (b"1" + b"0" * 308, "more than 308 digits"),
        (b"0." + b"1" * 5000, "more than 308 digits"),
        (b'{"a":1,"b":{"c":1,"c":2}}', "the key 'c' occurs twice"),
        (b'{"a":1,"\\u0061":2}', "the key 'a' occurs twice"),
        (b'["\\ud800"]', "surrogate"),
        (b'{"\\uDC00":1}', "surrogate"),
        (b'["\\u0000"]', "U+0000"),
        (b'["\\\\\\u0000"]', "U+0000"),
        (b'["\x00"]', "not JSON at line 1 column 3"),
        (b'["\xff"]', "not valid UTF-8 at byte 2"),
        (b'["\xed\xa0\x80"]', "not valid UTF-8"),
        (b"\xef\xbb\xbf{}", "not JSON at line 1 column 1"),
        (b"", "not JSON at line 1 column 1"),
        (b"{}\n{}", "not JSON at line 2 column 1"),
        (b'{"a":1,}', "not JSON"),
        (b"{'a':1}", "not JSON"),
        (b'{"a" 1}', "not JSON"),
        (b"[1 2]", "not JSON"),
    ],
)
def test_what_readers_disagree_about_is_refused(raw: bytes, reason: str, codec: Codec | None) -> None:
    for parse in (loads, load_sliced):
        with pytest.raises(StrictJsonError, match=r"^body: ") as refusal:
            parse(raw, place="body", codec=codec)
        assert reason in str(refusal.value)


@WAYS
@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 64 + b"]" * 64,
        b'"' + b"[" * 1000 + b'"',
        b'["' + b'{\\"' * 1000 + b'"]',
        b'["\\\\u0000"]',
        b'["\\ud83d\\ude00"]',
        b"123456789012345678901234567890",
        b"[" + b"1," * 5000 + b"1]",
        b'"' + b"7" * 5000 + b'"',
        b' {"a" : [ 1 , 2.50 ] } \n',
        b"-0.0",
    ],
)
def test_what_is_plain_json_is_accepted(raw: bytes, codec: Codec | None) -> None:
    assert loads(raw, place="body", codec=codec) == json.loads(raw)


@WAYS
@given(value=values)
def test_every_value_reads_as_the_standard_library_reads_it(value: Any, codec: Codec | None) -> None:
    for raw in (json.dumps(value).encode(), json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()):
        assert loads(raw, place="body", codec=codec) == value


@WAYS
@given(raw=st.binary() | st.text('[]{}",:\\u0dD8 1eE-.').map(str.encode))
def test_no_bytes_raise_anything_but_a_refusal(raw: bytes, codec: Codec | None) -> None:
    outcomes = []
    for parse in (loads, load_sliced):
        try:
            outcomes.append(json.dumps(parse(raw, place="body", codec=codec)))
        except StrictJsonError:
            outcomes.append("refused")
    assert outcomes[0] == outcomes[1]


@WAYS
@given(value=values)
def test_a_members_own_bytes_come_back_as_received(value: Any, codec: Codec | None) -> None:
    for own in (json.dumps(value, indent=1).encode(), orjson_like(value)):
        raw = b'{"ops":[{"data":%b,"n":1}],"x":2}' % own
        document = load_sliced(raw, place="body", inner=frozenset({"ops"}), codec=codec)
        assert slice_of(document["ops"][0], "data", codec=codec) == own


def orjson_like(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
