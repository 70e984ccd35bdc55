"""A real browser for tests: chromium, driven by chromedriver on loopback."""

import contextlib
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key W3C WebDriver gives element references


class Browser:
    """The few W3C WebDriver commands these tests need, spoken to chromedriver on loopback."""

    def __init__(self, port: int, folder: Path):
        self.base = f"http://127.0.0.1:{port}"
        self.downloads = folder / "downloads"
        self.downloads.mkdir()
        options = {
            "binary": shutil.which("chromium"),
            "args": [
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                f"--user-data-dir={folder / 'profile'}",
            ],
            "prefs": {
                "download.default_directory": str(self.downloads),
                "download.prompt_for_download": False,
            },
        }
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.base += f"/session/{session['sessionId']}"

    def call(self, method: str, path: str, body: dict | None = None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.base + path, data, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)["value"]

    def script(self, text: str, *arguments):
        return self.call("POST", "/execute/sync", {"script": text, "args": list(arguments)})

    def click(self, selector: str) -> None:
        found = self.call("POST", "/element", {"using": "css selector", "value": selector})
        self.script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", found)
        self.call("POST", f"/element/{found[ELEMENT]}/click", {})

    def type(self, selector: str, text: str) -> None:
        self.click(selector)
        found = self.call("POST", "/element", {"using": "css selector", "value": selector})
        self.call("POST", f"/element/{found[ELEMENT]}/value", {"text": text})

    def hover(self, selector: str) -> None:
        found = self.call("POST", "/element", {"using": "css selector", "value": selector})
        self.script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", found)
        # Scrolling hides the hover text, and its event comes a frame later.
        wait = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done))"
        self.call("POST", "/execute/async", {"script": wait, "args": []})
        source = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}}
        # On a busy machine that event may come even later: the pointer moves on until the text is there.
        for attempt in range(20):
            move = {"type": "pointerMove", "duration": 0, "x": attempt % 2, "y": 0, "origin": found}
            self.call("POST", "/actions", {"actions": [{**source, "actions": [move]}]})
            if self.script("const t = document.querySelector('#tip'); return !t.hidden && t.textContent"):
                break
            time.sleep(0.1)

    def choose(self, selector: str, value: str) -> None:
        self.script(
            "const s = document.querySelector(arguments[0]); s.value = arguments[1];"
            "for (const kind of ['input', 'change']) s.dispatchEvent(new Event(kind, {bubbles: true}));",
            selector,
            value,
        )

    def resize(self, width: int, height: int = 900) -> None:
        # A window cannot be narrower than about 500 px; the emulated device can.
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.devtools("Emulation.setDeviceMetricsOverride", metrics)

    def devtools(self, command: str, parameters: dict):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def errors(self) -> list[str]:
        entries = self.call("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "WARNING")]

    def saved(self, name: str) -> str:
        path = self.downloads / name
        until = time.monotonic() + 20
        # Chromium holds the name with an empty file until the whole one takes its place.
        while not (path.exists() and path.stat().st_size) and time.monotonic() < until:
            time.sleep(0.05)
        return path.read_text(encoding="utf-8")


def _started_driver(folder: Path) -> tuple[subprocess.Popen, int]:
    """A running chromedriver and its port.

    Port 0: the driver takes a free port of IPv6 and then wants the same one of IPv4. Where another program
    has that one, the driver ends; a new one takes another port.
    """
    errors = folder / "chromedriver.log"
    said = []
    for _ in range(5):
        with errors.open("a") as log:
            driver = subprocess.Popen(
                [shutil.which("chromedriver"), "--port=0"], stdout=subprocess.PIPE, stderr=log, text=True
            )
        for line in driver.stdout:
            said.append(line)
            if "started successfully on port" in line:
                return driver, int(line.split("port ")[1].rstrip(". \n"))
        driver.wait(timeout=20)
        driver.stdout.close()
    raise RuntimeError("chromedriver did not start:\n" + "".join(said) + errors.read_text())


@contextlib.contextmanager
def started_browser(folder: Path) -> Iterator[Browser]:
    """A browser that keeps its files in `folder`; the test is skipped where there is none."""
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("chromium and chromedriver are not installed")
    driver, port = _started_driver(folder)
    opened = None
    try:
        opened = Browser(port, folder)
        yield opened
    finally:
        if opened is not None:
            with contextlib.suppress(OSError):
                opened.call("DELETE", "")
        driver.terminate()
        driver.wait(timeout=20)
        driver.stdout.close()
