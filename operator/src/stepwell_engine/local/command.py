"""A command line on a leash: what the supervisor, the embedded Postgres and the tests execute."""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from . import leash
from .account import Account


@dataclass(frozen=True, slots=True)
class Command:
    """What to execute: arguments, the whole environment, and the descriptors that must be inherited."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    descriptors: tuple[int, ...] = ()

    @classmethod
    def leashed(
        cls,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        descriptors: tuple[int, ...] = (),
        death_signal: int = signal.SIGKILL,
        account: Account | None = None,
    ) -> Self:
        """A command that gets `death_signal` when the thread that started it ends, and runs as `account` if given.
        `arguments[0]` is an absolute path."""
        lead = (sys.executable, "-I", "-S", leash.__file__, str(os.getpid()), str(int(death_signal)))
        owner = f"{account.uid}:{account.gid}" if account else "-"
        return cls((*lead, owner, *arguments), environment, descriptors)

    @classmethod
    def python(
        cls, module: str, *arguments: str, environment: Mapping[str, str], descriptors: tuple[int, ...] = ()
    ) -> Self:
        """`python -m module arguments…` on a leash: killed with its parent, since every process of ours can take
        that."""
        return cls.leashed([sys.executable, "-m", module, *arguments], environment=environment, descriptors=descriptors)
