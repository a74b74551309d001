"""Nothing that comes from an app, an event or a person is ever markup: each text of a corpus stands in every place the page
shows, and not one of them runs."""

import pytest

from .browser import Page
from .conftest import Dashboard
from .stage import Stage

pytestmark = pytest.mark.browser

CORPUS = [
    "<script>pwned('script')</script>",
    "</script><script>pwned('closed')</script>",
    "<img src=x onerror=pwned('img')>",
    "<svg onload=pwned('svg')>",
    "<svg><script>pwned('svg script')</script></svg>",
    "<iframe srcdoc=\"<script>parent.pwned('srcdoc')</script>\">",
    "javascript:pwned('url')",
    "\"><script>pwned('quote')</script>",
    "' onmouseover='pwned(1)' autofocus onfocus='pwned(2)",
    "{{constructor.constructor('pwned(3)')()}}",
    "${pwned('template')}",
    "<math><mtext><table><mglyph><style><img src=x onerror=pwned('mxss')>",
    "<a href=javascript:pwned('a')>click</a>",
    "<details open ontoggle=pwned('toggle')>",
    "<style>@import 'javascript:pwned(4)';</style>",
    "]]><script>pwned('cdata')</script>",
    "<!--<img src=x onerror=pwned('comment')>-->",
    "\u202e<script>pwned('bidi')</script>",
    "%3Cscript%3Epwned('encoded')%3C/script%3E",
    "\\u003cscript\\u003epwned('escaped')\\u003c/script\\u003e",
]


async def test_no_text_of_the_corpus_runs_in_any_place(dashboard: Dashboard, browser: Page, stage: Stage) -> None:
    await browser.send(
        "Page.addScriptToEvaluateOnNewDocument", source="window.ran = []; window.pwned = (what) => ran.push(what)"
    )
    app = stage.app("shop", url="javascript:pwned('callback')", probe_error=CORPUS[2], probe_failures=9)
    paths = ["/", "/definitions", "/events", "/schedules", "/apps"]
    for text in CORPUS:
        definition = stage.definition(
            app,
            kind="workflow",
            name=text,
            document={"triggers": [{"event": {"name": text}}], "steps": [{"name": text, "call": {"handler": text}}]},
        )
        event = stage.event(app, text, data={text: text})
        error = {"name": text, "message": text, "stack": text}
        run = stage.run(
            app, text, kind="workflow", event=(event, text), input={text: [text]}, labels={text: text}, reason=text
        )
        run.entry("attempt_failed", step=text, type=text, error=error, app_ms=3)
        run.entry("step_failed", step=text, type=text, attempt=2, data={text: text}, error=error, app_ms=3)
        run.to("failed", error=error, reason=text)
        stage.connection.execute(
            "insert into stepwell.schedule (app_id, definition_id, name, source, document, next_at) "
            "values (%s, %s, %s, 'resource', %s, now())",
            [app, definition, text, b'{"schedule":"<b onclick=pwned(5)>","timeZone":"<i>"}'],
        )
        paths += [f"/runs/{run.id}", f"/definitions/{definition}"]
    await browser.goto(f"{dashboard.url}/")
    await browser.until(f"document.querySelectorAll('[data-run]').length === {len(CORPUS)}")
    names = await browser.evaluate("[...document.querySelectorAll('.run-link')].map(link => link.textContent)")
    assert sorted(names) == sorted(CORPUS)

    for path in paths:
        await browser.goto(dashboard.url + path)
        await browser.until("document.querySelector('main h1') && !document.querySelector('.skeleton')")
        if path.startswith("/runs/"):
            await browser.click(".row")
            for number in range(1, 5):
                await browser.click(f".panel [role=tab]:nth-child({number})")
        elif path == "/events":
            await browser.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert await browser.evaluate("window.ran") == [], path
        assert (
            await browser.evaluate(
                "[...document.querySelectorAll('a[href]')].filter(a => a.protocol === 'javascript:').length"
            )
            == 0
        )
    assert browser.dialogs == []
    assert browser.noise == []
