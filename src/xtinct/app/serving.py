"""The server of the page: its routes, and how it is started on loopback."""

import json
import os
import secrets
import socket
import tempfile
import webbrowser
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from threading import Thread

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from xtinct import __version__
from xtinct.app.desk import Desk
from xtinct.app.guards import Guard
from xtinct.app.questions import LARGEST_UPLOAD, PageQuestion
from xtinct.errors import XtinctError
from xtinct.symmetry.families import FAMILIES

HOST = "127.0.0.1"
#: Files of the page.
STATIC = Path(__file__).parent / "static"
#: Requests at a time; more are refused by the server.
_CONNECTIONS = 64


class App:
    """The routes of the page, over a desk and a folder for what is uploaded."""

    def __init__(self, desk: Desk, folder: Path):
        self.desk, self.folder = desk, folder

    def routes(self) -> list[Route | Mount]:
        """Paths and what they give."""
        return [
            Route("/", self.page),
            Route("/about", self.about),
            Route("/questions", self.ask, methods=["POST"]),
            Route("/questions/{key}", self.state),
            Route("/questions/{key}", self.take_back, methods=["DELETE"]),
            Route("/questions/{key}/answer.json", self.answer),
            Route("/questions/{key}/picture.svg", self.picture),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]

    async def page(self, request: Request) -> Response:
        """The page itself."""
        return FileResponse(STATIC / "app.html", media_type="text/html; charset=utf-8")

    async def about(self, request: Request) -> Response:
        """What the page has to know: version, families, database, limits."""
        database = self.desk.database
        return JSONResponse(
            {
                "version": __version__,
                "families": list(FAMILIES),
                "database": None if database is None else Path(database).name,
                "largest_upload": LARGEST_UPLOAD,
            }
        )

    async def ask(self, request: Request) -> Response:
        """Take a file, the body, and the question of the query string; 202 with the key of the question."""
        try:
            question = PageQuestion.of(dict(request.query_params))
        except XtinctError as error:
            return _said(str(error), 400)
        if self.desk.is_full:
            return _said("too many questions wait; ask again when some are answered", 503)
        path = self.folder / f"{secrets.token_hex(16)}{question.suffix}"
        try:
            size = await _written(request, path)
            if size > LARGEST_UPLOAD:
                return _said(
                    f"the file has more than {LARGEST_UPLOAD // 2**20} MiB, as no powder pattern has", 413
                )
            return JSONResponse({"key": self.desk.hand_in(path, question)}, status_code=202)
        except XtinctError as error:
            path.unlink(missing_ok=True)
            return _said(str(error), 503)
        except ClientDisconnect:
            path.unlink(missing_ok=True)
            return Response(status_code=400)

    async def state(self, request: Request) -> Response:
        """What has become of a question."""
        said = self.desk.state_of(request.path_params["key"])
        return _unknown() if said is None else JSONResponse(said)

    async def take_back(self, request: Request) -> Response:
        """Forget a question."""
        return Response(status_code=204) if self.desk.take_back(request.path_params["key"]) else _unknown()

    async def answer(self, request: Request) -> Response:
        """The answer as a file."""
        ticket = self.desk.answered(request.path_params["key"])
        if ticket is None or "answer" not in ticket.result:
            return _unknown()
        text = json.dumps(ticket.result["answer"], indent=1) + "\n"
        return _file(text, "application/json", f"{ticket.question.saved_name}.json")

    async def picture(self, request: Request) -> Response:
        """The picture as a file."""
        ticket = self.desk.answered(request.path_params["key"])
        if ticket is None or not ticket.result.get("picture"):
            return _unknown()
        return _file(ticket.result["picture"], "image/svg+xml", f"{ticket.question.saved_name}.svg")


async def _written(request: Request, path: Path) -> int:
    """Bytes of the body, which is written to `path`; it is left, and no file made, where it is too large."""
    size = int(request.headers.get("content-length") or 0)
    if size > LARGEST_UPLOAD:
        return size
    size = 0
    with path.open("wb") as stream:
        async for chunk in request.stream():
            size += len(chunk)
            if size > LARGEST_UPLOAD:
                break
            stream.write(chunk)
    if size > LARGEST_UPLOAD:
        path.unlink()
    return size


def _said(text: str, status: int) -> Response:
    return JSONResponse({"error": text}, status_code=status)


def _unknown() -> Response:
    return _said("no such question, or its answer is no longer kept; ask again", 404)


def _file(text: str, kind: str, name: str) -> Response:
    return Response(text, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def application(desk: Desk, folder: Path, port: int, started: Callable[[], None]) -> Starlette:
    """The ASGI application on a port; `started` is called when it is ready."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with desk:
            started()
            yield

    # Browsers leave out the port of HTTP itself.
    hosts = [name if port == 80 else f"{name}:{port}" for name in (HOST, "localhost")]
    return Starlette(
        routes=App(desk, folder).routes(), middleware=[Middleware(Guard, hosts=hosts)], lifespan=lifespan
    )


def serve(
    port: int,
    *,
    database: str | None,
    browser: bool,
    say: Callable[[str], None],
    time_limit: float,
) -> None:
    """Serve the page on loopback until interrupted.

    port        0: any that is free; database, a file of known structures, None without
    browser     whether one is opened; say, is told the address; time_limit, seconds for an answer

    XtinctError where the port is taken.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen(128)  # the browser may be quicker than the server
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or error
        raise XtinctError(f"port {port}: {reason}; name another with --port, or 0 for any") from None
    port = listening.getsockname()[1]
    address = f"http://{HOST}:{port}/"

    def started() -> None:
        say(address)
        if browser:
            # Browsers of a terminal return when they are closed.
            Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    with listening, tempfile.TemporaryDirectory(prefix="xtinct-app-") as folder:
        desk = Desk(database, workers=min(2, os.cpu_count() or 1), time_limit=time_limit)
        config = uvicorn.Config(
            application(desk, Path(folder), port, started),
            log_level="warning",
            limit_concurrency=_CONNECTIONS,
            server_header=False,
            timeout_graceful_shutdown=2,
        )
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])
