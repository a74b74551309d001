"""Signatures on every request and answer between engine and app.

Version 1 is `hex(HMAC-SHA256(key, body))`. Version 2 puts the time under the signature as well: the header reads
`t=<unix seconds>,v1=<hex>` with the HMAC taken over `b"<t>." + body`, and may carry several `v1` values while a key is
being rotated. A signing key is a string; its UTF-8 bytes are the HMAC key.

Checking never raises anything but `SignatureRefused`, whatever bytes a stranger puts into the header, and always
compares whole digests in constant time. The reasons are apart because they call for different fixes:

    SignatureRefused
    ├─ SignatureMalformed   the header is absent or has another form
    ├─ SignatureExpired     signed longer ago than the tolerance
    ├─ SignatureFromFuture  signed further ahead than the tolerance: a clock is wrong
    └─ SignatureMismatch    no key gives this signature: another key, or the body was changed
"""

import hmac
import re
from collections.abc import Sequence
from typing import Final

TOLERANCE_S: Final = 300

_HEX: Final = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_TIME: Final = re.compile(r"t=([0-9]{1,12})", re.ASCII)
_ONE_SIGNATURE: Final = re.compile(r"t=([1-9][0-9]{0,11}),v1=([0-9a-f]{64})", re.ASCII)
_MOST_SIGNATURES: Final = 8
_CLOCKS: Final = "check the clocks of both machines"


class SignatureRefused(Exception):
    """The message is not accepted as coming from who it says."""


class SignatureMalformed(SignatureRefused):
    """The signature is absent or unreadable."""


class SignatureExpired(SignatureRefused):
    """The signature is older than the tolerance."""


class SignatureFromFuture(SignatureRefused):
    """The signature's time lies ahead of this machine's clock by more than the tolerance."""


class SignatureMismatch(SignatureRefused):
    """No accepted key gives this signature for this body."""


def sign_v1(body: bytes, key: str) -> str:
    """The version-1 signature of a body, as hex."""
    return hmac.digest(key.encode(), body, "sha256").hex()


def verify_v1(body: bytes, signature: str | None, keys: Sequence[str]) -> bool:
    """Whether one of `keys` gives this version-1 signature."""
    claimed = _digest(signature)
    return claimed is not None and _matches(body, [claimed], keys)


def sign_v2(body: bytes, key: str | Sequence[str], *, now: float) -> str:
    """The version-2 header value for a body, with one signature per key."""
    time = int(now)
    signed = b"%d.%b" % (time, body)
    header = f"t={time}"
    for each in (key,) if isinstance(key, str) else key:
        header += f",v1={hmac.digest(each.encode(), signed, 'sha256').hex()}"
    return header


def verify_v2(
    body: bytes, header: str | None, keys: Sequence[str], *, now: float, tolerance: float = TOLERANCE_S
) -> None:
    """Accept a version-2 signature, or say why not.

    Args:
        body: the raw bytes that were received.
        header: the header's value, or None when it is absent.
        keys: every key that is accepted at the moment.
        now: unix seconds on this machine.
        tolerance: how far the signature's time may lie from `now`, in seconds, either way.

    Raises:
        SignatureRefused: one of its subclasses, by reason.
    """
    time, claimed = _parts(header)
    age = now - time
    if age > tolerance:
        raise SignatureExpired(f"the signature is {age:.0f} s old; at most {tolerance:.0f} s are accepted: {_CLOCKS}")
    if -age > tolerance:
        raise SignatureFromFuture(
            f"the signature lies {-age:.0f} s in the future; at most {tolerance:.0f} s are accepted: {_CLOCKS}"
        )
    if not _matches(b"%d.%b" % (time, body), claimed, keys):
        raise SignatureMismatch(
            "the signature does not match the body: check that both sides hold the same signing key"
        )


def _parts(header: str | None) -> tuple[int, list[bytes]]:
    if not header:
        raise SignatureMalformed("the signature is missing")
    if usual := _ONE_SIGNATURE.fullmatch(header):
        return int(usual[1]), [bytes.fromhex(usual[2])]
    first, *rest = header.split(",", _MOST_SIGNATURES + 1)
    time = _TIME.fullmatch(first.strip())
    named = [part.strip() for part in rest[:_MOST_SIGNATURES]]
    claimed = [digest for part in named if part.startswith("v1=") and (digest := _digest(part[3:]))]
    if time is None or not claimed or str(int(time[1])) != time[1]:
        raise SignatureMalformed('the signature is unreadable: expected "t=<unix seconds>,v1=<64 hex digits>"')
    return int(time[1]), claimed


def _digest(text: str | None) -> bytes | None:
    return bytes.fromhex(text) if isinstance(text, str) and _HEX.fullmatch(text) else None


def _matches(signed: bytes, claimed: Sequence[bytes], keys: Sequence[str]) -> bool:
    found = False
    for key in keys:
        expected = hmac.digest(key.encode(), signed, "sha256")
        for digest in claimed:
            found |= hmac.compare_digest(expected, digest)
    return found
