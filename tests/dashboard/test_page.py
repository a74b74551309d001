"""The page in a real browser, on the real API and a real Postgres: what a person sees, live, and what a person does."""

from datetime import UTC, datetime, timedelta

import pytest

from .browser import Page
from .conftest import TOKEN, AccessSettings, Dashboard
from .stage import Stage

pytestmark = pytest.mark.browser

PLAN = {
    "steps": [
        {"name": "reserve", "call": {"handler": "reserve-stock"}},
        {
            "name": "tell",
            "parallel": [{"name": "mail", "call": {"handler": "mail"}}, {"name": "sms", "call": {"handler": "sms"}}],
        },
        {"name": "approve", "waitForEvent": {"event": "approval.received", "timeout": "7d"}},
    ]
}


@pytest.fixture
def shop(stage: Stage) -> str:
    return stage.app("shop")


async def test_the_list_lives(dashboard: Dashboard, browser: Page, stage: Stage, shop: str) -> None:
    first = stage.run(shop, "order", activity="waiting")
    await browser.goto(f"{dashboard.url}/")
    await browser.until(f"document.querySelector('[data-run=\"{first.id}\"] .is-waiting')")
    await browser.until("document.querySelector('.live-live')")

    second = stage.run(shop, "refund")
    first.to("completed", output=1)

    await browser.until(f"document.querySelector('[data-run=\"{first.id}\"] .is-completed')")
    await browser.until("document.querySelectorAll('[data-run]').length === 2")
    rows = await browser.evaluate("[...document.querySelectorAll('[data-run]')].map(row => row.dataset.run)")
    assert rows == [str(second.id), str(first.id)]
    assert browser.noise == []


async def test_a_filter_is_in_the_address_and_holds_for_what_comes(
    dashboard: Dashboard, browser: Page, stage: Stage, shop: str
) -> None:
    stage.run(shop, "order", labels={"tenant": "acme"})
    stage.run(shop, "order", labels={"tenant": "globex"})
    await browser.goto(f"{dashboard.url}/")
    await browser.until("document.querySelectorAll('[data-run]').length === 2")

    await browser.click(".run-labels .tag[title$='tenant=acme']")
    await browser.until(
        "document.querySelectorAll('[data-run]').length === 1 && location.search === '?label=tenant%3Dacme'"
    )
    await browser.until("document.querySelector('.live-live')")

    stage.run(shop, "order", labels={"tenant": "globex"})
    late = stage.run(shop, "order", labels={"tenant": "acme"})
    await browser.until(f"document.querySelector('[data-run=\"{late.id}\"]')")
    assert await browser.evaluate("document.querySelectorAll('[data-run]').length") == 2


async def test_the_keyboard_walks_the_list_and_opens_a_run(
    dashboard: Dashboard, browser: Page, stage: Stage, shop: str
) -> None:
    runs = [stage.run(shop, "order") for _ in range(3)]
    await browser.goto(f"{dashboard.url}/")
    await browser.until("document.querySelectorAll('[data-run]').length === 3")
    for key in ("j", "j", "k", "j", "Enter"):
        await browser.press(key)
    await browser.until(f"location.pathname === '/runs/{runs[1].id}'")
    await browser.see("Trace")


async def test_a_run_s_trace_grows_while_one_looks(
    dashboard: Dashboard, browser: Page, stage: Stage, shop: str
) -> None:
    stage.definition(shop, kind="workflow", name="fulfil", document=PLAN)
    began = datetime.now(UTC) - timedelta(seconds=2)
    run = stage.run(shop, "fulfil", kind="workflow", activity="executing", at=began, started_at=began)
    run.entry(
        "attempt_failed",
        step="reserve",
        type="call",
        app_ms=200,
        at=began + timedelta(milliseconds=210),
        due=began + timedelta(seconds=1),
        error={"name": "Locked", "message": "sku is locked"},
    )
    run.entry(
        "step_completed",
        step="reserve",
        type="call",
        attempt=2,
        app_ms=300,
        at=began + timedelta(seconds=1.4),
        data={"warehouse": "AMS-2"},
    )
    await browser.goto(f"{dashboard.url}/runs/{run.id}")

    row = "document.querySelector('#step-{}')"
    await browser.until(f"{row.format('reserve')}.querySelectorAll('.segment').length >= 3")
    await browser.until(
        f"{row.format('reserve')}.querySelector('.segment-failed') && {row.format('reserve')}.querySelector('.segment-retry')"
    )
    await browser.until(f"{row.format('mail')}.querySelector('.segment-open')")
    width = await browser.evaluate(f"{row.format('mail')}.querySelector('.segment-open').getBoundingClientRect().width")
    await browser.until(
        f"{row.format('mail')}.querySelector('.segment-open').getBoundingClientRect().width > {width} + 4"
    )

    run.entry("step_completed", step="mail", type="call", app_ms=50, data={"sent": True})
    run.entry("step_completed", step="sms", type="call", app_ms=50, data={"sent": True})
    run.entry("wait_started", step="approve", type="wait", due=datetime.now(UTC) + timedelta(days=7))
    run.wait("approve", type="wait", event="approval.received", due=datetime.now(UTC) + timedelta(days=7))
    run.to("active", activity="waiting")

    await browser.until(f"{row.format('approve')}.querySelector('.segment-waiting')")
    await browser.click("#step-reserve")
    await browser.until("document.querySelector('.panel pre').textContent.includes('AMS-2')")
    await browser.click(".panel [role=tab]:last-child")
    await browser.see("sku is locked")
    assert browser.noise == []


async def test_cancel_asks_first_and_shows_the_end(
    dashboard: Dashboard, browser: Page, stage: Stage, shop: str
) -> None:
    run = stage.run(shop, "order", activity="waiting")
    await browser.goto(f"{dashboard.url}/runs/{run.id}")
    await browser.click(".run-head button.danger")
    await browser.see("Cancel this run of order?")
    assert (await dashboard.journal.views.get_run(run.id)).status == "active"  # type: ignore[union-attr]
    await browser.click("dialog button.danger")
    await browser.until("document.querySelector('h1 .is-cancelled')")
    assert not await browser.evaluate("!!document.querySelector('.run-head button.danger')")


async def test_a_run_whose_app_can_not_be_called_says_why(
    dashboard: Dashboard, browser: Page, stage: Stage, shop: str
) -> None:
    run = stage.run(shop, "order", activity="queued", reason="EndpointUnreachable")
    other = stage.run(shop, "refund", activity="queued", reason="ClockSkewed")
    fine = stage.run(shop, "count", activity="queued")
    await browser.goto(f"{dashboard.url}/")
    text = "document.querySelector('[data-run=\"{}\"] .run-now').textContent"
    await browser.until(f"{text.format(run.id)}.includes('be reached')")
    assert "clock is wrong" in await browser.evaluate(text.format(other.id))
    assert await browser.evaluate(text.format(fine.id)) == ""
    await browser.goto(f"{dashboard.url}/runs/{run.id}")
    await browser.see("be reached. It is called again by itself; that uses up no attempt")
    run.to("active", activity="executing", reason=None)
    await browser.until("!document.querySelector('.failure')")
    assert browser.noise == []


async def test_rerun_leads_to_the_new_run(dashboard: Dashboard, browser: Page, stage: Stage, shop: str) -> None:
    run = stage.run(shop, "order", input={"n": 1})
    run.to("completed", output=1)
    await browser.goto(f"{dashboard.url}/runs/{run.id}")
    await browser.click(".run-head .buttons button")
    await browser.click("dialog button.primary")
    await browser.until(f"location.pathname.startsWith('/runs/') && location.pathname !== '/runs/{run.id}'")
    await browser.see("Rerun of")


async def test_production_is_unmistakable(dashboard: Dashboard, browser: Page, stage: Stage) -> None:
    prod = stage.app("billing", environment="prod")
    stage.run(prod, "charge", activity="waiting")
    await browser.goto(f"{dashboard.url}/")
    colour = await browser.until(
        "document.querySelector('.prod-strip') && getComputedStyle(document.querySelector('.prod-strip')).backgroundColor"
    )
    assert colour == "rgb(185, 28, 28)"
    await browser.click(".run-link")
    await browser.click(".run-head button.danger")
    await browser.until("document.querySelector('dialog .env-prod')")


async def test_every_page_has_an_empty_state_and_a_heading(dashboard: Dashboard, browser: Page) -> None:
    for path, words in {
        "/": "No runs yet",
        "/definitions": "Nothing is declared yet",
        "/events": "No events",
        "/schedules": "No schedules",
        "/apps": "No apps yet",
        "/runs/01900000-0000-7000-8000-000000000000": "There is no such run",
        "/nowhere": "There is no such page",
    }.items():
        await browser.goto(dashboard.url + path)
        await browser.see(words)
        assert await browser.evaluate("document.querySelectorAll('main').length") == 1
    assert not [noise for noise in browser.noise if "404" not in noise]


async def test_on_a_phone_nothing_is_wider_than_the_screen(
    dashboard: Dashboard, browser: Page, stage: Stage, shop: str
) -> None:
    await browser.view(width=360, height=740)
    run = stage.run(shop, "a-function-with-quite-a-long-name", labels={"tenant": "a-long-value-for-a-label"})
    run.entry(
        "step_completed", step="a-step-with-a-name-that-is-very-long-indeed", type="run", app_ms=5, data="x" * 3000
    )
    for path in ("/", f"/runs/{run.id}", "/definitions", "/events", "/schedules", "/apps"):
        await browser.goto(dashboard.url + path)
        await browser.until("document.querySelector('h1') && document.fonts.status === 'loaded'")
        assert await browser.evaluate("document.documentElement.scrollWidth") <= 360, path


class TestSignIn:
    @pytest.fixture
    def access_settings(self) -> AccessSettings:
        return AccessSettings(admin_token=TOKEN, host="0.0.0.0", dev=False)

    async def test_a_person_signs_in_sees_the_runs_and_signs_out(
        self, dashboard: Dashboard, browser: Page, stage: Stage, shop: str
    ) -> None:
        run = stage.run(shop, "order", activity="waiting")
        await browser.goto(f"{dashboard.url}/runs/{run.id}")
        await browser.see("Sign in")
        await browser.type("a wrong token, long enough")
        await browser.press("Enter")
        await browser.see("this is not the admin token")
        await browser.evaluate("document.querySelector('#token').value = ''; document.querySelector('#token').focus()")
        await browser.type(TOKEN)
        await browser.press("Enter")
        await browser.see("Trace")
        assert await browser.evaluate("document.cookie") == ""
        await browser.click(".run-head button.danger")
        await browser.click("dialog button.danger")
        await browser.until("document.querySelector('h1 .is-cancelled')")
        await browser.click(".side-foot button:last-child")
        await browser.see("Admin token")
