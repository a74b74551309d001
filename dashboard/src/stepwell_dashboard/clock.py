"""The dashboard's own clock: for what it shows, never for what is due."""

from datetime import UTC, datetime
from uuid import UUID


def now() -> datetime:
    return datetime.now(UTC)


def first_id_of(instant: datetime) -> UUID:
    """The least UUIDv7 that can have been made at or after `instant`."""
    return UUID(int=(int(instant.timestamp() * 1000) << 80) | (0x7 << 76) | (0b10 << 62))
