"""A leased run in the worker's memory: its journal as the wire wants it, and the time its lease has left.

Rebuilt from the journal when a lease begins and whenever others added to it; in between, the answers of the lease's own
exchanges are the only writers, so memory and journal say the same without reading.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from uuid import UUID

from stepwell_protocol.wire import encode_entry

from ..journal.queue import Exchange, Lease, Outcome
from ..model import MARGIN, RESULTS, Entry, PendingWait, Step

#: The step under which failures outside any step back off. No handler can name a step so.
WHOLE_RUN = "$run"

#: Seconds after sending in which a call may start.
_LONGEST_START = 5.0


@dataclass(slots=True)
class LeaseClock:
    """The database's time as this worker can know it: its `now` and the monotonic instant before it was asked for.
    An estimate is never early, late by at most the length of that question."""

    now: datetime
    asked_at: float
    lease_until: datetime

    def at(self, monotonic: float) -> datetime:
        return self.now + timedelta(seconds=monotonic - self.asked_at)

    def unix(self, monotonic: float) -> float:
        """The same in seconds since 1970."""
        return self.now.timestamp() + monotonic - self.asked_at

    def left(self, monotonic: float) -> float:
        """Seconds until the lease ends; never overestimated."""
        return (self.lease_until - self.now).total_seconds() - (monotonic - self.asked_at)


class LeasedRun:
    """One lease. Not shared between tasks except for `clock`, which renewal replaces, and `lost`."""

    __slots__ = (
        "attempts",
        "cancel_requested",
        "clock",
        "fragments",
        "id",
        "lease",
        "lost",
        "margin",
        "next_ordinal",
        "pending",
        "results",
        "seq",
        "size",
        "unplaced_failures",
    )

    def __init__(self, lease: Lease, *, asked_at: float, lease_length: timedelta) -> None:
        self.lease = lease
        self.id = str(lease.run_id)
        self.clock = LeaseClock(lease.now, asked_at, lease.lease_until)
        self.margin = min(MARGIN, lease_length / 4)
        self.seq = 1
        self.lost = False
        self.cancel_requested = lease.cancel_requested
        self.rebuild(lease.entries, lease.waits)

    @property
    def run_id(self) -> UUID:
        return self.lease.run_id

    @property
    def token(self) -> int:
        return self.lease.token

    def rebuild(self, entries: Sequence[Step], waits: Iterable[PendingWait]) -> None:
        """Take the journal as it now is."""
        self.fragments: list[bytes] = []
        self.results: dict[str, str] = {}
        self.attempts: dict[str, int] = {}
        self.unplaced_failures = 0
        self.size = 0
        self.next_ordinal = entries[-1].ordinal + 1 if entries else 1
        self.pending: dict[str, str] = {wait.step: wait.type for wait in waits}
        for entry in entries:
            self._take(entry)

    def settle(self, step: str, *, type: str, data: bytes | None = None, error: bytes | None = None) -> None:
        """A result joins the journal."""
        fragment = encode_entry(step, type=type, data=data, error=error)
        self.fragments.append(fragment)
        self.results[step] = type
        self.size += len(fragment)
        self.pending.pop(step, None)
        self.unplaced_failures = 0

    def fail_attempt(self, step: str | None) -> int:
        """An attempt failed. Answers how many have, of this step or, outside any step, since the last result."""
        if step is None:
            self.unplaced_failures += 1
            return self.unplaced_failures
        self.attempts[step] = self.attempts.get(step, 0) + 1
        return self.attempts[step]

    def ordinal(self) -> int:
        self.next_ordinal += 1
        return self.next_ordinal - 1

    def window(self, monotonic: float, *, timeout: timedelta) -> tuple[int, int]:
        """Until when a call sent now may start and may last, in unix milliseconds of the database's clock: `start_by`, and the
        call's own time."""
        clock = self.clock
        sent = clock.unix(monotonic)
        start_by = min((clock.lease_until - self.margin).timestamp(), sent + _LONGEST_START)
        return ceil(start_by * 1000), ceil((sent + timeout.total_seconds()) * 1000)

    def start_by(self, monotonic: float) -> datetime:
        """The last instant at which anything may start under a call sent now: within the lease, within five seconds."""
        return min(self.clock.lease_until - self.margin, self.clock.at(monotonic) + timedelta(seconds=_LONGEST_START))

    def exchange(self, outcome: Outcome = "go", *, seq: int | None = None) -> Exchange:
        """An exchange under this lease, still empty."""
        lease = self.lease
        return Exchange(
            run_id=lease.run_id,
            app_id=lease.app_id,
            token=lease.token,
            seq=self.seq if seq is None else seq,
            outcome=outcome,
            steps=len(self.results),
        )

    def send_by(self, monotonic: float) -> float:
        """`start_by` on the monotonic clock: a call prepared now must have left by then."""
        return monotonic + min(_LONGEST_START, self.clock.left(monotonic) - self.margin.total_seconds())

    def added_since(self, known: int, *, but: Collection[str]) -> list[bytes]:
        """The fragments after the first `known`, without those of the steps in `but`."""
        added = list(self.results)[known:]
        return [fragment for step, fragment in zip(added, self.fragments[known:], strict=True) if step not in but]

    def may_call(self, monotonic: float) -> bool:
        return not self.lost and self.clock.left(monotonic) > self.margin.total_seconds()

    def _take(self, entry: Step) -> None:
        if entry.entry in RESULTS and entry.step is not None:
            if entry.entry is Entry.STEP_FAILED:
                self.attempts[entry.step] = entry.attempt
                self.settle(entry.step, type=entry.type or "run", error=entry.error)
            elif entry.entry is not Entry.STEP_SKIPPED:
                self.settle(entry.step, type=entry.type or "run", data=entry.data)
        elif entry.entry is Entry.ATTEMPT_FAILED:
            self.fail_attempt(entry.step)
