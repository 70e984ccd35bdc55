"""Who may speak to the server: pages that it has served itself, under its own name, and nobody else.

A page of another site can send requests to loopback, and by rebinding its name to 127.0.0.1 even read the
answers. Host tells the second, Origin and Sec-Fetch-Site the first.
"""

from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Nothing from elsewhere is loaded, and no other page shows this one within itself.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_CHANGING = {"POST", "PUT", "PATCH", "DELETE"}


class Guard:
    """ASGI middleware: 403 for a wrong Host or Origin; headers that bind the browser on all else.

    hosts  values of Host that are the server's own: name and port
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str]):
        self.app, self.hosts = app, frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        if refusal:
            await PlainTextResponse(f"{refusal}\n", status_code=403)(scope, receive, guarded)
        else:
            await self.app(scope, receive, guarded)

    def _refusal(self, method: str, headers: Headers) -> str:
        """Why a request is refused, "" if it is not."""
        if headers.getlist("host") == [] or headers["host"].lower() not in self.hosts:
            return "wrong Host: this server answers only under its own address"
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"http://{headers['host'].lower()}":
            return "wrong Origin: only the page of this server may ask"
        site = headers.get("sec-fetch-site", "none")
        if method in _CHANGING and site not in ("same-origin", "none"):
            return "wrong Sec-Fetch-Site: only the page of this server may ask"
        return ""
