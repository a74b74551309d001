"""Durations of a StepwellApp's spec, checked by its schema, as timedeltas."""

from datetime import timedelta

from stepwell_protocol.durations import parse_duration


def duration(text: object, *, default: timedelta) -> timedelta:
    return default if text is None else parse_duration(str(text))
