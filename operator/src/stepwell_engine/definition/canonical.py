"""The one spelling of a document, whose hash names its revision.

Keys are sorted, and a number without a fraction is written as an integer, as Kubernetes' own JSON does: a document
gives the same bytes whether it came through the API server or through a sync.
"""

import json
from collections.abc import Mapping
from typing import Any


def canonical(document: Any) -> bytes:
    """Raises ValueError for what JSON can't hold."""
    return json.dumps(
        _normal(document), sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":")
    ).encode()


def _normal(value: Any) -> Any:
    match value:
        case Mapping():
            return {key: _normal(member) for key, member in value.items()}
        case list() | tuple():
            return [_normal(item) for item in value]
        case float() if value.is_integer():
            return int(value)
        case _:
            return value
