"""The operator's own settings, beside the engine's; what each variable means stands in stepwell_engine.settings."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from stepwell_engine.settings import InvalidSetting


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    namespaces: frozenset[str] | None = None
    resync_seconds: float = 60.0
    gateway_url: str | None = None
    lease_namespace: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Options":
        """Raises InvalidSetting naming the variable."""
        given = os.environ if environment is None else environment
        names = frozenset(
            n for n in (part.strip() for part in given.get("STEPWELL_WATCH_NAMESPACES", "").split(",")) if n
        )
        text = given.get("STEPWELL_RESYNC_SECONDS") or "60"
        try:
            resync = float(text)
        except ValueError:
            resync = 0.0
        if not 1 <= resync <= 3600:
            raise InvalidSetting(
                f"STEPWELL_RESYNC_SECONDS: {text!r} is not a number from 1 to 3600: write for example 60"
            )
        return cls(
            namespaces=names or None,
            resync_seconds=resync,
            gateway_url=given.get("STEPWELL_GATEWAY_URL") or None,
            lease_namespace=given.get("STEPWELL_NAMESPACE") or None,
        )
