"""The data directory of the local stack: where it is, and the key that seals signing keys in its database.

<data dir>/lock        who holds it (see lock)
<data dir>/data-key    32 bytes in base64, mode 0600, made once; without it the sealed signing keys can't be read
<data dir>/postgres/   the cluster, a folder per major version
<data dir>/logs/       what the children said, a file each
"""

import base64
import os
from collections.abc import Mapping
from pathlib import Path

from .lock import DirectoryLock
from .problems import LocalProblem


def default_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """`$XDG_DATA_HOME/stepwell/dev`, by default under ~/.local/share."""
    base = environment.get("XDG_DATA_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".local" / "share") / "stepwell" / "dev"


def data_key(lock: DirectoryLock) -> str:
    """The key, made at the first start. Raises LocalProblem when it can't be read or was cut short."""
    path = lock.directory / "data-key"
    try:
        if not path.exists():
            _write(path, base64.b64encode(os.urandom(32)))
        text = path.read_text().strip()
        if len(base64.b64decode(text, validate=True)) != 32:
            raise ValueError
    except OSError as error:
        raise LocalProblem(f"the data key {path} can't be read or made: {error.strerror}") from error
    except ValueError:
        raise LocalProblem(
            f"the data key {path} is damaged: restore it, or delete the data directory to start afresh"
        ) from None
    return text


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, also across a power cut."""
    scratch = path.with_suffix(".new")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, content + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    scratch.replace(path)
