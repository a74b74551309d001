"""Several calls in one request: whatever way the parts of the answer are cut, what was signed is read, and nothing else."""

import contextlib
import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell_protocol.sharing import OneAnswer, PartReader, encode_calls, encode_part
from stepwell_protocol.signing import SignatureExpired, SignatureRefused, sign_v2
from stepwell_protocol.wire import InvalidMessage

KEY = "sk_test"
NOW = 1_783_242_000.0
LINES = [(2, 200, b'{"token":7,"seq":1,"ops":[],"time":0}'), (0, 409, b'{"refused":"late"}'), (1, 503, b"")]
PART = encode_part(LINES, key=KEY, now=NOW)


def test_a_request_is_the_array_of_what_would_have_been_sent_apart() -> None:
    assert json.loads(encode_calls([b'{"runId":"a"}', b'{"runId":"b"}'])) == [{"runId": "a"}, {"runId": "b"}]


@given(st.lists(st.integers(0, 2 * len(PART)), max_size=20))
def test_parts_are_read_however_their_bytes_come(cuts: list[int]) -> None:
    stream = PART + encode_part([(3, 200, b"{}")], key=KEY, now=NOW)
    reader, found = PartReader([KEY]), list[OneAnswer]()
    for begin, end in pairwise([0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]):
        found += reader.feed(stream[begin:end], now=NOW)
    assert found == [*LINES, (3, 200, b"{}")]


def test_an_answer_is_given_as_soon_as_its_part_is_complete() -> None:
    reader = PartReader([KEY])
    assert reader.feed(PART[:-1], now=NOW) == []
    assert len(reader.feed(PART[-1:] + PART[:10], now=NOW)) == len(LINES)


def test_line_breaks_between_values_do_no_harm() -> None:
    pretty = json.dumps({"ops": [{"data": "a\nb"}]}, indent=2).encode()
    (answer,) = PartReader([KEY]).feed(encode_part([(0, 200, pretty)], key=KEY, now=NOW), now=NOW)
    assert json.loads(answer.body) == json.loads(pretty)


@given(st.integers(0, len(PART) - 1), st.integers(1, 255))
def test_a_part_that_was_changed_gives_nothing(at: int, flip: int) -> None:
    changed = PART[:at] + bytes([PART[at] ^ flip]) + PART[at + 1 :]
    try:
        found = PartReader([KEY]).feed(changed, now=NOW)
    except (InvalidMessage, SignatureRefused):
        found = []
    # Hexadecimal digits may be of either case, and only a length that has grown leaves room for more to come.
    assert found == [] or changed.lower() == PART.lower()


@given(st.binary(max_size=2000))
def test_garbage_raises_nothing_else(garbage: bytes) -> None:
    with contextlib.suppress(InvalidMessage, SignatureRefused):
        assert PartReader([KEY]).feed(garbage, now=NOW) == []


@pytest.mark.parametrize(
    "lines", [b"x 200 {}\n", b"0 x {}\n", b"0\n", b"\n", b"0 200 {}", b"99999999999 200 {}\n", "² 200 {}\n".encode()]
)
def test_a_line_that_is_none_is_refused_even_when_it_is_signed(lines: bytes) -> None:
    part = b"%b %d\n%b" % (sign_v2(lines, KEY, now=NOW).encode(), len(lines), lines)
    with pytest.raises(InvalidMessage, match=r"part"):
        PartReader([KEY]).feed(part, now=NOW)


def test_a_head_without_an_end_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(InvalidMessage, match="must begin with its signature"):
        PartReader([KEY]).feed(b"x" * 1024, now=NOW)


def test_a_part_signed_too_long_ago_or_with_another_key_is_refused() -> None:
    with pytest.raises(SignatureExpired):
        PartReader([KEY]).feed(PART, now=NOW + 301)
    with pytest.raises(SignatureRefused):
        PartReader(["other"]).feed(PART, now=NOW)
    assert len(PartReader(["other", KEY]).feed(PART, now=NOW)) == len(LINES)
