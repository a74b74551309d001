"""Signing keys at rest: AES-256-GCM under the data key, bound to the app they belong to.

Engine pods have no API token and the database is not trusted with keys in plain text, so what is stored is useless
without the data key (`STEPWELL_DATA_KEY`, mounted from a Secret) and can't be moved from one app's row to another's: the
app id is the associated data.
"""

import base64
import binascii
import json
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .errors import StepwellError

_NONCE_BYTES = 12


class BadDataKey(StepwellError):
    code = "BadDataKey"


class Sealer:
    """Seals and opens lists of signing keys. Raises BadDataKey when the key is malformed or not the one that sealed."""

    def __init__(self, data_key: bytes) -> None:
        if len(data_key) != 32:
            raise BadDataKey(
                f"STEPWELL_DATA_KEY must be 32 bytes in base64, not {len(data_key)}: make one with `openssl rand -base64 32`"
            )
        self._cipher = AESGCM(data_key)

    @classmethod
    def from_base64(cls, text: str) -> "Sealer":
        try:
            return cls(base64.b64decode(text.strip(), validate=True))
        except binascii.Error:
            raise BadDataKey("STEPWELL_DATA_KEY is not base64: make one with `openssl rand -base64 32`") from None

    def seal(self, keys: tuple[str, ...], *, app_id: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, json.dumps(list(keys)).encode(), app_id.encode())

    def open(self, sealed: bytes, *, app_id: str) -> tuple[str, ...]:
        try:
            plain = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], app_id.encode())
        except InvalidTag:
            raise BadDataKey(
                f"the signing keys of app {app_id} were sealed with another STEPWELL_DATA_KEY: start with that one"
            ) from None
        return tuple(json.loads(plain))
