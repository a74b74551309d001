"""The account that the embedded Postgres runs under.

PostgreSQL refuses to run as root. A plain user runs it as themselves; root lends it an unprivileged account that
already exists: the owner of the cluster if there is one, else `postgres`, else `nobody`. No account is ever created.
"""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from .problems import LocalProblem


@dataclass(frozen=True, slots=True)
class Account:
    uid: int
    gid: int
    name: str

    def may_pass(self, path: Path) -> bool:
        """Whether this account can reach `path`: each folder on the way, and the folder itself, lets it through.
        Access control lists are not looked at; a wrong no is harmless, the caller takes the longer way."""
        resolved = path.resolve()
        return all(self._may_enter(folder) for folder in (resolved, *resolved.parents))

    def _may_enter(self, folder: Path) -> bool:
        found = folder.stat()
        if found.st_uid == self.uid:
            return bool(found.st_mode & stat.S_IXUSR)
        if found.st_gid == self.gid:
            return bool(found.st_mode & stat.S_IXGRP)
        return bool(found.st_mode & stat.S_IXOTH)


def lent_account(cluster: Path) -> Account | None:
    """None for a plain user. Raises LocalProblem if root finds no unprivileged account to lend."""
    if os.geteuid() != 0:
        return None
    if cluster.exists() and (owner := cluster.stat().st_uid) != 0:
        try:
            entry = pwd.getpwuid(owner)
        except KeyError:
            raise LocalProblem(
                f"{cluster} belongs to uid {owner}, which is no account of this machine: give it to one with "
                f"`chown -R nobody {cluster}`, or choose another --data-dir"
            ) from None
        return Account(entry.pw_uid, entry.pw_gid, entry.pw_name)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid, entry.pw_name)
    raise LocalProblem(
        "PostgreSQL refuses to run as root and there is no account `postgres` or `nobody` to lend it: "
        "run as a plain user, or give a database with --database-url"
    )
