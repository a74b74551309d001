"""Columns of values for `unnest(…)`, written in Postgres's binary form of an array.

A statement for many runs takes a column per field. psycopg writes lists too, but looks at every element to find out its
type and then writes text; here the type is said, and a column is one join. `None` is NULL in all of them. A value that its
type can't hold raises Refused, as Postgres would.
"""

import struct
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final
from uuid import UUID

import psycopg
from psycopg.adapt import Buffer, Dumper
from psycopg.pq import Format

from ..errors import Refused

_NULL: Final = b"\xff\xff\xff\xff"
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_HEAD: Final = struct.Struct(">iiIii")
_EMPTY: Final = struct.Struct(">iiI")
_SMALLINT: Final = struct.Struct(">ih")
_INTEGER: Final = struct.Struct(">ii")
_BIGINT: Final = struct.Struct(">iq")
_REAL: Final = struct.Struct(">if")
_INTERVAL: Final = struct.Struct(">iqii")


class Array:
    """A column. Subclasses say of which type."""

    __slots__ = ("binary",)

    element: ClassVar[str]

    def __init__(self, values: Iterable[Any]) -> None:
        write = self.write
        try:
            parts = [_NULL if value is None else write(value) for value in values]
        except (struct.error, OverflowError, UnicodeEncodeError) as error:
            raise Refused(f"Postgres refused a row: {self.element} can't hold a value of it: {error}") from error
        oid = _OIDS[type(self)][0]
        if parts:
            self.binary = b"".join([_HEAD.pack(1, 1, oid, len(parts), 1), *parts])
        else:
            self.binary = _EMPTY.pack(0, 0, oid)

    @property
    def oid(self) -> int:
        """Postgres's number for the type of the array."""
        return _OIDS[type(self)][1]

    @staticmethod
    def write(value: Any) -> bytes:
        """One element, its length in four bytes in front."""
        raise NotImplementedError


class Uuids(Array):
    __slots__ = ()
    element = "uuid"

    @staticmethod
    def write(value: UUID) -> bytes:
        return b"\x00\x00\x00\x10" + value.int.to_bytes(16)


class Texts(Array):
    __slots__ = ()
    element = "text"

    @staticmethod
    def write(value: str) -> bytes:
        data = value.encode()
        return len(data).to_bytes(4) + data


class Byteas(Array):
    __slots__ = ()
    element = "bytea"

    @staticmethod
    def write(value: bytes) -> bytes:
        return len(value).to_bytes(4) + value


class Smallints(Array):
    __slots__ = ()
    element = "int2"

    @staticmethod
    def write(value: int) -> bytes:
        return _SMALLINT.pack(2, value)


class Integers(Array):
    __slots__ = ()
    element = "int4"

    @staticmethod
    def write(value: int) -> bytes:
        return _INTEGER.pack(4, value)


class Bigints(Array):
    __slots__ = ()
    element = "int8"

    @staticmethod
    def write(value: int) -> bytes:
        return _BIGINT.pack(8, value)


class Reals(Array):
    __slots__ = ()
    element = "float4"

    @staticmethod
    def write(value: float) -> bytes:
        return _REAL.pack(4, value)


class Booleans(Array):
    __slots__ = ()
    element = "bool"

    @staticmethod
    def write(value: bool) -> bytes:
        return b"\x00\x00\x00\x01\x01" if value else b"\x00\x00\x00\x01\x00"


class Timestamps(Array):
    """Aware datetimes."""

    __slots__ = ()
    element = "timestamptz"

    @staticmethod
    def write(value: datetime) -> bytes:
        return _BIGINT.pack(8, (value - _EPOCH) // _MICROSECOND)


class Intervals(Array):
    """Durations. A day is 24 hours, whatever the session's time zone does."""

    __slots__ = ()
    element = "interval"

    @staticmethod
    def write(value: timedelta) -> bytes:
        return _INTERVAL.pack(16, value // _MICROSECOND, 0, 0)


class _ArrayDumper(Dumper):
    format = Format.BINARY

    def __init__(self, cls: type, context: Any = None) -> None:
        super().__init__(cls, context)
        self.oid = _OIDS[cls][1]

    def dump(self, obj: Array) -> Buffer:
        return obj.binary


def _register() -> dict[type, tuple[int, int]]:
    oids: dict[type, tuple[int, int]] = {}
    for kind in Array.__subclasses__():
        info = psycopg.adapters.types[kind.element]
        oids[kind] = (info.oid, info.array_oid)
        psycopg.adapters.register_dumper(kind, _ArrayDumper)
    return oids


_OIDS: Final = _register()
