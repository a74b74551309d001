"""Who may look and act: with a token, with a session, without either, and from another page."""

import base64
from dataclasses import replace

import httpx
import pytest
import pytest_asyncio

from stepwell_dashboard.access import LIFETIME, Access, Misconfigured
from stepwell_dashboard.app import create_app
from stepwell_dashboard.guard import COOKIE
from stepwell_engine.journal import Journal

from .conftest import TOKEN, AccessSettings, Dashboard
from .stage import Stage

GUARDED = AccessSettings(admin_token=TOKEN, host="0.0.0.0", dev=False)
READS = [
    "/api/v1/runs",
    "/api/v1/stream",
    "/api/v1/events",
    "/api/v1/definitions",
    "/api/v1/apps",
    "/api/v1/openapi.json",
]


class TestWithAToken:
    @pytest.fixture
    def access_settings(self) -> AccessSettings:
        return GUARDED

    @pytest_asyncio.fixture
    async def session(self, client: httpx.AsyncClient) -> str:
        answer = await client.post("/api/v1/session", json={"token": TOKEN})
        assert answer.status_code == 200
        return answer.cookies[COOKIE]

    @pytest.mark.parametrize("path", READS)
    async def test_nothing_is_told_to_a_stranger(self, client: httpx.AsyncClient, path: str) -> None:
        answer = await client.get(path)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert answer.headers["content-type"] == "application/problem+json"

    @pytest.mark.parametrize("token", ["wrong", TOKEN[:-1], TOKEN + "x", TOKEN.upper()])
    async def test_a_wrong_bearer_token_is_refused(self, client: httpx.AsyncClient, token: str) -> None:
        assert (await client.get("/api/v1/runs", headers={"authorization": f"Bearer {token}"})).status_code == 401

    async def test_the_bearer_token_reads_and_acts(self, client: httpx.AsyncClient, stage: Stage) -> None:
        run = stage.run(stage.app("shop"), "order", activity="waiting")
        headers = {"authorization": f"Bearer {TOKEN}"}
        assert (await client.get("/api/v1/runs", headers=headers)).status_code == 200
        assert (await client.post(f"/api/v1/runs/{run.id}/cancel", headers=headers)).status_code == 200

    async def test_a_session_reads_and_its_cookie_is_out_of_reach_of_scripts(self, client: httpx.AsyncClient) -> None:
        answer = await client.post("/api/v1/session", json={"token": TOKEN})
        attributes = answer.headers["set-cookie"].lower()
        assert "httponly" in attributes
        assert "samesite=lax" in attributes
        assert "secure" not in attributes
        assert (await client.get("/api/v1/runs")).status_code == 200
        assert (await client.get("/api/v1/session")).json() == {"required": True, "signedIn": True}

    async def test_behind_https_the_cookie_is_secure(self, client: httpx.AsyncClient) -> None:
        headers = {"x-forwarded-proto": "https"}
        answer = await client.post("/api/v1/session", json={"token": TOKEN}, headers=headers)
        assert "; Secure" in answer.headers["set-cookie"]

    async def test_a_session_acts_only_from_this_page(
        self, client: httpx.AsyncClient, stage: Stage, session: str
    ) -> None:
        run = stage.run(stage.app("shop"), "order", activity="waiting")
        path, here = f"/api/v1/runs/{run.id}/cancel", str(client.base_url).rstrip("/")
        refused: list[dict[str, str]] = [
            {},
            {"origin": "https://evil.example"},
            {"origin": "null"},
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
            {"origin": here, "sec-fetch-site": "cross-site"},
        ]
        for headers in refused:
            answer = await client.post(path, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "ForeignOrigin")
        assert (await client.post(path, headers={"origin": here})).status_code == 200

    async def test_signing_out_takes_the_cookie_away(self, client: httpx.AsyncClient, session: str) -> None:
        here = {"origin": str(client.base_url).rstrip("/")}
        assert (await client.delete("/api/v1/session", headers=here)).status_code == 204
        assert (await client.get("/api/v1/runs")).status_code == 401

    async def test_a_forged_or_spoilt_session_is_refused(self, client: httpx.AsyncClient, session: str) -> None:
        body, _, signature = session.rpartition(".")
        later = f"{10**12}.{body.partition('.')[2]}.{signature}"
        for value in (
            later,
            body,
            f"{body}.",
            f"{body}.{'0' * 64}",
            "x",
            "..",
            "é",
            base64.b64encode(session.encode()).decode(),
        ):
            client.cookies.clear()
            answer = await client.get("/api/v1/runs", headers=[(b"cookie", f"{COOKIE}={value}".encode())])
            assert answer.status_code == 401, value

    async def test_wrong_tokens_are_slowed_down(self, client: httpx.AsyncClient) -> None:
        answers = [await client.post("/api/v1/session", json={"token": f"guess-{n}"}) for n in range(11)]
        assert [answer.status_code for answer in answers] == [401] * 10 + [429]
        assert int(answers[-1].headers["retry-after"]) > 0

    @pytest.mark.parametrize(
        "body", [b"", b"{", b"[]", b'{"token": 1}', b'{"token": ""}', b'{"token": "\\ud800"}', b"\xff"]
    )
    async def test_a_sign_in_that_can_t_be_read_is_refused(self, client: httpx.AsyncClient, body: bytes) -> None:
        headers = {"content-type": "application/json"}
        assert (await client.post("/api/v1/session", content=body, headers=headers)).status_code == 400

    async def test_health_is_open_and_says_nothing(self, client: httpx.AsyncClient) -> None:
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        assert (await client.get("/readyz")).json() == {"status": "ready"}


class TestWithoutAToken:
    @pytest.mark.parametrize(
        "host", ["evil.example", "evil.example:3030", "127.0.0.1.evil.example", "localhost.evil.example", ""]
    )
    async def test_a_foreign_host_name_is_refused(self, client: httpx.AsyncClient, host: str) -> None:
        answer = await client.get("/api/v1/runs", headers={"host": host})
        assert (answer.status_code, answer.json()["code"]) == (403, "ForeignHost")

    @pytest.mark.parametrize("host", ["localhost", "localhost:3030", "127.0.0.1:1", "[::1]:3030", "stepwell.localhost"])
    async def test_loopback_names_are_served(self, client: httpx.AsyncClient, host: str) -> None:
        assert (await client.get("/api/v1/runs", headers={"host": host})).status_code == 200

    async def test_another_page_can_t_act(self, client: httpx.AsyncClient, stage: Stage) -> None:
        run = stage.run(stage.app("shop"), "order", activity="waiting")
        path = f"/api/v1/runs/{run.id}/cancel"
        assert (await client.post(path, headers={"origin": "https://evil.example"})).status_code == 403
        assert (await client.post(path)).status_code == 200

    async def test_no_session_is_asked_for(self, client: httpx.AsyncClient) -> None:
        assert (await client.get("/api/v1/session")).json() == {"required": False, "signedIn": True}


@pytest.mark.parametrize(
    "settings",
    [
        AccessSettings(host="0.0.0.0", dev=True),
        AccessSettings(host="127.0.0.1", dev=False),
        AccessSettings(host="10.0.0.7", dev=True),
        AccessSettings(host="::", dev=True),
        AccessSettings(admin_token="short", host="0.0.0.0", dev=False),
    ],
)
async def test_it_refuses_to_start_where_anybody_could_come(journal: Journal, settings: AccessSettings) -> None:
    with pytest.raises(Misconfigured, match="STEPWELL_ADMIN_TOKEN"):
        create_app(settings, journal)


def test_a_session_ends_after_its_lifetime_and_with_its_token() -> None:
    now = 1_000_000.0
    access = Access(GUARDED, now=lambda: now)
    session = access.new_session()
    assert access.holds(session)
    assert not Access(replace(GUARDED, admin_token=TOKEN + "-changed"), now=lambda: now).holds(session)
    now += LIFETIME.total_seconds() + 1
    assert not access.holds(session)


async def test_every_answer_forbids_what_the_page_does_not_need(client: httpx.AsyncClient) -> None:
    for path in ("/", "/runs/x", "/api/v1/runs", "/api/v1/nothing", "/assets/none.js"):
        headers = (await client.get(path)).headers
        assert headers["content-security-policy"].startswith("default-src 'self';")
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


async def test_a_path_out_of_the_page_leads_nowhere(dashboard: Dashboard, client: httpx.AsyncClient) -> None:
    for path in ("/../pyproject.toml", "/%2e%2e/app.py", "/assets/..%2f..%2fapp.py", "/%00"):
        answer = await client.get(path, headers={"accept": "text/plain"})
        assert answer.status_code in (400, 404), path
