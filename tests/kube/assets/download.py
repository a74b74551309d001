"""Fetch a released binary, checked against the checksum that is published beside it.

Fails fast: a host that does not answer within `CONNECT_SECONDS` is given up, because the next source (a build) works
without it. Whatever goes wrong is one `SourceFailed` that says what.
"""

import hashlib
import io
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from kube.assets.catalog import Asset

CONNECT_SECONDS = 4
CHUNK = 1 << 20

Report = Callable[[str], None]


class SourceFailed(Exception):
    """One source could not bring one binary; the chain goes on with the next source."""


def download(asset: Asset, target: Path, *, report: Report) -> None:
    """Write the released binary of `asset` to `target`; raises SourceFailed."""
    try:
        expected = _checksum(asset)
        body = _fetch(asset, report=report)
    except (urllib.error.URLError, OSError) as error:
        raise SourceFailed(f"{asset.url}: {error}") from error
    if hashlib.sha256(body).hexdigest() != expected:
        raise SourceFailed(f"{asset.url}: the checksum does not match the published one")
    if asset.archive_member is not None:
        with tarfile.open(fileobj=io.BytesIO(body)) as archive:
            member = archive.extractfile(asset.archive_member)
            if member is None:
                raise SourceFailed(f"{asset.url}: holds no {asset.archive_member}")
            body = member.read()
    target.write_bytes(body)


def _checksum(asset: Asset) -> str:
    with urllib.request.urlopen(asset.checksum_url, timeout=CONNECT_SECONDS) as response:
        text = response.read().decode()
    file_name = asset.url.rpartition("/")[2]
    for line in text.splitlines():
        words = line.split()
        if len(words) == 1 or (len(words) == 2 and words[1].lstrip("*") == file_name):
            return str(words[0])
    raise SourceFailed(f"{asset.checksum_url}: names no {file_name}")


def _fetch(asset: Asset, *, report: Report) -> bytes:
    with urllib.request.urlopen(asset.url, timeout=CONNECT_SECONDS) as response:
        total = int(response.headers.get("content-length") or 0)
        body = bytearray()
        told = 0
        while chunk := response.read(CHUNK):
            body += chunk
            if total and len(body) * 10 // total > told:
                told = len(body) * 10 // total
                report(f"{asset.name}: {told * 10} % of {total >> 20} MiB downloaded")
    return bytes(body)
