"""Logs: one line an event, as JSON for machines or as text for people. Control characters are escaped, lines are bounded, and
payloads and keys are never logged."""

import json
import logging
import sys
import time

_LONGEST = 4000


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage()[:_LONGEST],
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)[-_LONGEST:]
        return json.dumps(line)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        message = "".join(c if c.isprintable() else repr(c)[1:-1] for c in record.getMessage()[:_LONGEST])
        name = record.name.removeprefix("stepwell.")
        line = f"{self.formatTime(record, '%H:%M:%S')} {record.levelname.lower():7} {name}: {message}"
        return line if not record.exc_info else f"{line}\n{self.formatException(record.exc_info)}"


def configure_logging(*, level: str, format: str) -> None:
    """Send everything to standard error, as `json` or `text`. Calling it again replaces the last configuration."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if format == "json" else _Text())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
