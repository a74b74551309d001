"""A real headless Chromium, driven over the DevTools protocol by a pipe: no driver, no port, nothing to download.

Chromium is the one on the PATH, or named by STEPWELL_TEST_CHROMIUM; as root on Debian or Ubuntu it is installed when it is
missing, else the test fails and says what to install. Every wait has a deadline and says what it waited for.
"""

import asyncio
import base64
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
_PATIENCE = 15.0


_UNTIL = """new Promise((found, lost) => {
    const value = () => { try { return %(expression)s } catch { return null } };
    const look = () => {
        const seen = value();
        if (seen) { stop(); found(seen instanceof Node ? true : seen); }
    };
    const observer = new MutationObserver(look);
    const timer = setInterval(look, 50);
    const deadline = setTimeout(() => { stop(); lost(new Error("never became true")); }, %(milliseconds)d);
    const stop = () => { observer.disconnect(); clearInterval(timer); clearTimeout(deadline); };
    observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
    look();
})"""


class BrowserFailed(AssertionError):
    """The browser could not be had, or what was waited for did not happen."""


def find_chromium() -> str:
    """The path of a Chromium. Raises BrowserFailed saying what to install."""
    named = os.environ.get("STEPWELL_TEST_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (
            ["apt-get", "update", "-qq"],
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"],
        ):
            done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
            if done.returncode != 0:
                raise BrowserFailed(
                    f"`{' '.join(command)}` failed, and the browser tests need Chromium:\n{done.stderr}"
                )
        found = shutil.which("chromium")
    if found is None:
        raise BrowserFailed(
            "the browser tests need Chromium: install it (Debian, Ubuntu: apt-get install chromium), "
            "or name one with STEPWELL_TEST_CHROMIUM"
        )
    return found


class Page:
    """One tab. `noise` is what the page wrote to its console as an error, and what it threw."""

    def __init__(self, connection: "_Connection", session: str) -> None:
        self._connection = connection
        self._session = session
        self.noise: list[str] = []
        self.dialogs: list[str] = []

    async def send(self, method: str, **params: object) -> dict[str, Any]:
        return await self._connection.send(method, params, session=self._session)

    async def goto(self, url: str) -> None:
        answer = await self.send("Page.navigate", url=url)
        if answer.get("errorText"):
            raise BrowserFailed(f"{url}: {answer['errorText']}")

    async def evaluate(self, expression: str) -> Any:
        answer = await self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise BrowserFailed(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    async def until(self, expression: str, *, patience: float = _PATIENCE) -> Any:
        """The value of `expression` as soon as it is truthy, looked at after every change of the document."""
        script = _UNTIL % {"expression": expression, "milliseconds": patience * 1000}
        try:
            return await self.evaluate(script)
        except BrowserFailed as error:
            text = await self.evaluate("document.body ? document.body.innerText : ''")
            raise BrowserFailed(
                f"waited {patience:g} s for {expression}; the page says:\n{text[:2000]}\n{error}"
            ) from None

    async def see(self, text: str) -> None:
        await self.until(f"document.body.innerText.includes({json.dumps(text)})")

    async def click(self, selector: str) -> None:
        """Click the middle of the first element that matches, with the mouse."""
        box = await self.until(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'nearest'}}); "
            f"const b = e.getBoundingClientRect(); return b.width && [b.x + b.width / 2, b.y + b.height / 2]; }})()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.send("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    async def press(self, key: str) -> None:
        text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
        code = {"Enter": 13, "ArrowDown": 40, "ArrowUp": 38, "Escape": 27, "Tab": 9}.get(key, 0)
        await self.send("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text)
        await self.send("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    async def type(self, text: str) -> None:
        await self.send("Input.insertText", text=text)

    async def view(self, *, width: int, height: int, dark: bool = False, scale: float = 1) -> None:
        await self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.send("Emulation.setEmulatedMedia", features=[scheme])

    async def screenshot(self) -> bytes:
        """The view as a PNG."""
        answer = await self.send("Page.captureScreenshot", format="png")
        return base64.b64decode(answer["data"])


class _Connection:
    """DevTools messages over the pipe: JSON, each ended by a zero byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._number = 0
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.pages: dict[str, Page] = {}

    async def send(self, method: str, params: dict[str, object], *, session: str | None = None) -> dict[str, Any]:
        self._number += 1
        message = {
            "id": self._number,
            "method": method,
            "params": params,
            **({"sessionId": session} if session else {}),
        }
        future = self._waiting[self._number] = asyncio.get_running_loop().create_future()
        self._writer.write(json.dumps(message).encode() + b"\0")
        await self._writer.drain()
        return await asyncio.wait_for(future, 60)

    async def listen(self) -> None:
        with suppress(asyncio.IncompleteReadError):
            while True:
                message = json.loads((await self._reader.readuntil(b"\0"))[:-1])
                if "id" in message:
                    self._answered(message)
                else:
                    await self._told(message)

    def _answered(self, message: dict[str, Any]) -> None:
        future = self._waiting.pop(message["id"], None)
        if future is None or future.done():
            return
        if "error" in message:
            future.set_exception(BrowserFailed(str(message["error"])))
        else:
            future.set_result(message["result"])

    async def _told(self, message: dict[str, Any]) -> None:
        page = self.pages.get(message.get("sessionId", ""))
        if page is None:
            return
        match message["method"], message["params"]:
            case "Runtime.exceptionThrown", {"exceptionDetails": details}:
                page.noise.append(str(details.get("exception", details).get("description", details)))
            case "Log.entryAdded", {"entry": {"level": "error", "text": text, **rest}}:
                page.noise.append(f"{text} {rest.get('url', '')}")
            case "Page.javascriptDialogOpening", {"message": text}:
                page.dialogs.append(text)


@asynccontextmanager
async def open_browser(profile: Path) -> AsyncIterator[Page]:
    """A page in a fresh browser whose user data lies in `profile`."""
    to_child, our_write = os.pipe()
    our_read, from_child = os.pipe()

    def wire() -> None:
        high = os.dup(to_child), os.dup(from_child)
        os.dup2(high[0], 3)
        os.dup2(high[1], 4)

    process = await asyncio.create_subprocess_exec(
        find_chromium(),
        *_FLAGS,
        f"--user-data-dir={profile}",
        "about:blank",
        close_fds=False,
        preexec_fn=wire,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    os.close(to_child)
    os.close(from_child)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=64 * 1024 * 1024)
    read_end, write_end = os.fdopen(our_read, "rb", 0), os.fdopen(our_write, "wb", 0)
    reading, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), read_end)
    writing, protocol = await loop.connect_write_pipe(lambda: asyncio.streams.FlowControlMixin(loop=loop), write_end)
    connection = _Connection(reader, asyncio.StreamWriter(writing, protocol, None, loop))
    listening = asyncio.create_task(connection.listen(), name="devtools")
    try:
        target = await connection.send("Target.createTarget", {"url": "about:blank"})
        attached = await connection.send("Target.attachToTarget", {"targetId": target["targetId"], "flatten": True})
        page = connection.pages[attached["sessionId"]] = Page(connection, attached["sessionId"])
        for domain in ("Page", "Runtime", "Log"):
            await page.send(f"{domain}.enable")
        await page.view(width=1440, height=900)
        yield page
    finally:
        with suppress(BrowserFailed, TimeoutError, ConnectionError):
            await asyncio.wait_for(connection.send("Browser.close", {}), 5)
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening
        writing.close()
        reading.close()
