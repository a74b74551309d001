"""`/healthz` and `/readyz` for the kubelet.

Alive is a process whose event loop turns and whose watch tells what lists show. Ready is one that leads, or stands by.
"""

from collections.abc import Callable

from aiohttp import web


class Health:
    """`troubles` names what is wrong with this process, or gives None."""

    def __init__(self, *, host: str, port: int, trouble: Callable[[], str | None], ready: Callable[[], bool]) -> None:
        self._host = host
        self._port = port
        self._trouble = trouble
        self._ready = ready
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/healthz", self._alive)
        app.router.add_get("/readyz", self._is_ready)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _alive(self, _: web.Request) -> web.Response:
        trouble = self._trouble()
        return web.Response(status=503 if trouble else 200, text=f"{trouble or 'ok'}\n")

    async def _is_ready(self, _: web.Request) -> web.Response:
        return web.Response(status=200 if self._ready() else 503, text="ok\n" if self._ready() else "starting\n")
