"""Signatures: what is accepted, what is refused and why, whatever a stranger sends."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell_protocol.signing import (
    SignatureExpired,
    SignatureFromFuture,
    SignatureMalformed,
    SignatureMismatch,
    SignatureRefused,
    sign_v1,
    sign_v2,
    verify_v1,
    verify_v2,
)

BODY = b'{"name":"user.created"}'
KEY = "sk_test_ünïcode"
NOW = 1_783_242_000


def test_version_1_signs_the_raw_body_with_the_key_as_utf8() -> None:
    assert sign_v1(BODY, KEY) == hmac.new(KEY.encode(), BODY, hashlib.sha256).hexdigest()


def test_version_2_signs_the_time_and_the_body() -> None:
    expected = hmac.new(KEY.encode(), f"{NOW}.".encode() + BODY, hashlib.sha256).hexdigest()
    assert sign_v2(BODY, KEY, now=NOW + 0.9) == f"t={NOW},v1={expected}"


def test_either_key_is_accepted_while_keys_rotate() -> None:
    verify_v2(BODY, sign_v2(BODY, "new", now=NOW), ["old", "new"], now=NOW)
    verify_v2(BODY, sign_v2(BODY, ["new", "old"], now=NOW), ["old"], now=NOW)
    assert verify_v1(BODY, sign_v1(BODY, "old"), ["new", "old"])


def test_another_body_or_key_is_a_mismatch() -> None:
    header = sign_v2(BODY, KEY, now=NOW)
    for body, keys in ((BODY + b" ", [KEY]), (BODY, ["other"]), (BODY, [])):
        with pytest.raises(SignatureMismatch, match="same signing key"):
            verify_v2(body, header, keys, now=NOW)
    assert not verify_v1(BODY + b" ", sign_v1(BODY, KEY), [KEY])


def test_a_changed_time_is_a_mismatch() -> None:
    header = sign_v2(BODY, KEY, now=NOW).replace(f"t={NOW}", f"t={NOW + 1}")
    with pytest.raises(SignatureMismatch):
        verify_v2(BODY, header, [KEY], now=NOW)


def test_a_signature_lives_for_the_tolerance_in_both_directions() -> None:
    header = sign_v2(BODY, KEY, now=NOW)
    verify_v2(BODY, header, [KEY], now=NOW + 300)
    verify_v2(BODY, header, [KEY], now=NOW - 300)
    with pytest.raises(SignatureExpired, match="301 s old"):
        verify_v2(BODY, header, [KEY], now=NOW + 301)
    with pytest.raises(SignatureFromFuture, match="301 s in the future"):
        verify_v2(BODY, header, [KEY], now=NOW - 301)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "t=1",
        f"v1={'0' * 64}",
        f"t=1,{'0' * 64}",
        "t=1,v1=zz",
        f"t=01,v1={'0' * 64}",
        f"t=\u0661,v1={'0' * 64}",
    ],
)
def test_an_unreadable_header_is_malformed(header: str | None) -> None:
    with pytest.raises(SignatureMalformed):
        verify_v2(BODY, header, [KEY], now=NOW)


@given(st.text() | st.from_regex(r"t=[0-9]{1,14},(v1=[0-9a-fé]{0,70},?){0,10}"))
def test_no_header_raises_anything_but_a_refusal(header: str) -> None:
    with pytest.raises(SignatureRefused):
        verify_v2(BODY, header, [KEY], now=NOW)
    assert not verify_v1(BODY, header, [KEY])
