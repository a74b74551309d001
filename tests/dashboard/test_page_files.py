"""How the page's files are served, and what is said where they have not been built."""

from pathlib import Path

import httpx
import pytest


@pytest.fixture
def page(tmp_path: Path) -> Path:
    folder = tmp_path / "page"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>Stepwell</title>")
    (folder / "assets" / "index-1a2b.js").write_text("0")
    return folder


@pytest.mark.parametrize("path", ["/", "/runs/0190", "/definitions/7?step=a", "/nowhere"])
async def test_every_address_of_the_page_is_the_page(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert "<title>Stepwell</title>" in answer.text


async def test_a_file_named_by_its_content_is_kept_and_a_missing_one_is_not_the_page(client: httpx.AsyncClient) -> None:
    found, missing = await client.get("/assets/index-1a2b.js"), await client.get("/assets/index-old.js")
    assert "immutable" in found.headers["cache-control"]
    assert missing.status_code == 404


async def test_a_page_that_was_not_built_says_what_to_do(client: httpx.AsyncClient, page: Path) -> None:
    (page / "index.html").unlink()
    answer = await client.get("/")
    assert answer.status_code == 503
    assert "make setup" in answer.text
