"""Chromium without a window, driven by the WebDriver protocol (W3C) through chromedriver. Debian's packages, and no others."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    """One window. Use it with `with`."""

    def __init__(
        self, *, width: int = 1280, height: int = 900, dark: bool = False, script: bool = True
    ) -> None:
        self._profile = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        self._driver = subprocess.Popen(
            ["chromedriver", "--port=0", "--log-level=WARNING"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self._driver.stdout
        for line in self._driver.stdout:
            if match := re.search(r"started successfully on port (\d+)", line):
                self._base = f"http://127.0.0.1:{match[1]}"
                break
        else:
            raise AssertionError("chromedriver did not start")
        arguments = [
            "--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run",
            f"--window-size={width},{height}", f"--user-data-dir={self._profile.name}", "--disable-background-networking",
        ]
        if os.geteuid() == 0:
            arguments.append("--no-sandbox")
        preferences = {} if script else {"profile.managed_default_content_settings.javascript": 2}
        self._session = ""
        capabilities = {
            "browserName": "chrome", "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {"args": arguments, "prefs": preferences},
        }
        answer = self._call("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self._session = f"/session/{answer['sessionId']}"
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.command(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._call("DELETE", self._session)
        finally:
            self._driver.terminate()
            self._driver.wait()
            self._profile.cleanup()

    def _call(self, method: str, path: str, body: object = None) -> Any:
        data = None if method in ("GET", "DELETE") else json.dumps(body or {}).encode()
        request = urllib.request.Request(self._base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from None

    def command(self, name: str, **parameters: object) -> Any:
        """A command of the DevTools protocol."""
        return self._call("POST", self._session + "/goog/cdp/execute", {"cmd": name, "params": parameters})

    def open(self, url: str) -> None:
        """Loads a page to its end."""
        self._call("POST", self._session + "/url", {"url": url})

    def run(self, script: str, *arguments: object) -> Any:
        """The value that a script returns."""
        return self._call("POST", self._session + "/execute/sync", {"script": script, "args": list(arguments)})

    def run_async(self, script: str, *arguments: object) -> Any:
        """What a script gives to its last argument, a function."""
        return self._call("POST", self._session + "/execute/async", {"script": script, "args": list(arguments)})

    def element(self, selector: str) -> str:
        found = self._call("POST", self._session + "/element", {"using": "css selector", "value": selector})
        return self._session + "/element/" + found[ELEMENT]

    def click(self, selector: str) -> None:
        self._call("POST", self.element(selector) + "/click")

    def type(self, selector: str, text: str) -> None:
        """Keys into an element; \ue004 is Tab, \ue007 Enter."""
        self._call("POST", self.element(selector) + "/value", {"text": text})

    def press(self, keys: str) -> None:
        """Keys to whatever has the focus."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._call("POST", self._session + "/actions", {"actions": [{"type": "key", "id": "k", "actions": actions}]})

    def text(self, selector: str) -> str:
        return self.run("return document.querySelector(arguments[0])?.textContent ?? ''", selector)

    def until(self, script: str, *arguments: object, seconds: float = 10) -> Any:
        """Wait until a script returns something true."""
        return self.wait(lambda: self.run(script, *arguments), script, seconds)

    @staticmethod
    def wait(ask: Callable[[], Any], what: str, seconds: float) -> Any:
        end = time.monotonic() + seconds
        while True:
            if value := ask():
                return value
            assert time.monotonic() < end, f"{seconds} s went by without: {what}"
            time.sleep(0.05)

    def complaints(self) -> list[str]:
        """What the console has said since the last time: scripts that failed, and what the page's policy forbade."""
        return [entry["message"] for entry in self._call("POST", self._session + "/se/log", {"type": "browser"})]

    def shoot(self, path: Path, *, whole: bool = True) -> None:
        """A picture of the page."""
        options: dict[str, object] = {"format": "png", "captureBeyondViewport": whole}
        if whole:
            size = self.command("Page.getLayoutMetrics")["cssContentSize"]
            options["clip"] = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 6000), "scale": 1}
        path.write_bytes(base64.b64decode(self.command("Page.captureScreenshot", **options)["data"]))
