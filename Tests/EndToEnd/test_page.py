"""The page of the admin listener in a real browser: what it shows, live and without a script, to everybody, under attack."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import http.client
import http.server
import importlib.resources
import json
import os
import re
import subprocess
import threading
import time
from pathlib import Path

import pytest
from conftest import DOMAIN, REPOSITORY
from peers.admin import Admin
from peers.browser import Browser
from peers.upstream import Connection, Upstream, echo

ADMIN = {"admin_addr": "127.0.0.1:0"}
#: Where pictures go that somebody wants to look at.
PICTURES = os.environ.get("PAGE_PICTURES")
HOSTILE = "<img/src=x/onerror=document.title='owned'>"


@pytest.fixture(scope="module", autouse=True)
def chromium() -> None:
    subprocess.run([REPOSITORY / "Tests/Support/need", "chromium", "chromium-driver", "fonts-dejavu-core"], check=True)


def page(site: Admin) -> str:
    return f"http://{site.address}/"


def shoot(browser: Browser, name: str) -> None:
    if PICTURES:
        browser.shoot(Path(PICTURES) / f"{name}.png")


def accessible(browser: Browser) -> None:
    """axe-core has nothing to say."""
    browser.run((importlib.resources.files("axe_core_python") / "axe.min.js").read_text())
    found = browser.run_async("axe.run(document, {resultTypes: ['violations']}).then(arguments[0])")
    assert not found["violations"], json.dumps(
        [(rule["id"], [node["html"] for node in rule["nodes"]][:3]) for rule in found["violations"]], indent=1)
    assert len(found["passes"]) > 20


def choose(browser: Browser, level: str) -> None:
    browser.click(f"#level option:nth-child({['debug', 'info', 'warn', 'error'].index(level) + 1})")


async def fail(connection: Connection) -> None:
    while head := await connection.head():
        await connection.body(head)
        await connection.respond("500 Internal Server Error", body=b"no")


async def visit(far, routes: list[str], path: str = "/mcp", **options: object) -> None:
    for route in routes:
        async with far.http(route) as http:
            await http.request("POST", path, [("Content-Type", "application/json")], b"{}", **options)


@pytest.mark.deadline(120)
async def test_the_facts_and_what_changes(start) -> None:
    """Opened before anything has happened, the page shows what happens then, without being loaded again."""
    async with Upstream(echo) as upstream, Upstream(fail) as failing:
        proxy = start({"echo": upstream, "search": failing, "gone": "http://127.0.0.1:1"}, **ADMIN)
        site = Admin(proxy)
        site.wait_until("/readyz", 200)

        def look() -> None:
            with Browser() as browser:
                browser.open(page(site))
                browser.until("return document.getElementById('link').textContent === 'live'")
                assert browser.text("h1") == DOMAIN and "Ready" in browser.text("#state")
                assert browser.text("#tally") == "3 idle" and "None since the start" in browser.text("#reloads")
                browser.run("window.first = true")
                asyncio.run_coroutine_threadsafe(visit(proxy.far, ["echo", "search", "gone"]), loop).result(20)
                browser.until("return document.getElementById('tally').textContent === '2 failing · 1 ok'")
                assert "500" in browser.text("#requests") and "/mcp" in browser.text("#requests")
                assert "the MCP server fails" in browser.text("#notes") and "start it with" in browser.text("#notes")
                assert browser.run("return document.querySelectorAll('.spark').length") == 3
                browser.until("return document.getElementById('log').textContent.includes('request finished')")
                assert "2 of 3 with failures" in browser.text("#hops")
                browser.until("return document.querySelector('#hops time').textContent.endsWith('ago')")
                # A certificate's life, and the hash of the configuration.
                assert "days left" in browser.text("#facts")
                # None of this came by loading the page again.
                assert browser.run("return window.first === true")
                proxy.config_file.write_text("nonsense: 1\n")
                proxy.signal(1)
                browser.until("return document.getElementById('reloads').textContent.includes('nonsense')")
                shoot(browser, "light")
                accessible(browser)
                assert browser.complaints() == []

        loop = asyncio.get_running_loop()
        await asyncio.to_thread(look)


@pytest.mark.deadline(120)
async def test_the_log_is_filtered_and_paused(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream, "far": "http://8.8.8.8:80"}, **ADMIN)
        site = Admin(proxy)
        site.wait_until("/readyz", 200)
        shown = "return [...document.querySelectorAll('#log li:not([hidden])')].map(line => line.textContent)"

        def look() -> None:
            def ask(*routes: str) -> None:
                asyncio.run_coroutine_threadsafe(visit(proxy.far, list(routes)), loop).result(20)

            with Browser(dark=True) as browser:
                browser.open(page(site))
                browser.until("return document.getElementById('link').textContent === 'live'")
                ask("echo", "far")
                browser.until(f"return ({shown[7:]}).some(line => line.includes('rule=denied'))")
                choose(browser, "warn")
                lines = browser.run(shown)
                assert lines and all(" WARN " in line or " ERROR " in line for line in lines)
                choose(browser, "info")
                browser.type("#filter", "route=ECHO")
                lines = browser.run(shown)
                assert len(lines) == 3 and all("route=echo" in line for line in lines), lines
                # By keyboard: the button behind the field.
                browser.press("\ue004\ue007")
                assert browser.run("return document.activeElement.id") == "pause" and browser.text("#pause") == "Go on"
                ask("echo")
                proxy.wait_for("request finished", count=3)
                time.sleep(2.5)
                assert browser.run(shown) == lines
                browser.press("\ue007")
                assert len(browser.run(shown)) == 5 and browser.text("#pause") == "Pause"
                assert browser.run("return document.querySelector('a[download]').getAttribute('href')") == "logs?download=1"
                shoot(browser, "dark")
                accessible(browser)
                assert browser.complaints() == []

        loop = asyncio.get_running_loop()
        await asyncio.to_thread(look)


@pytest.mark.deadline(120)
async def test_without_a_script_the_facts_are_there(start) -> None:
    async with Upstream(fail) as failing:
        proxy = start({"search": failing}, **ADMIN)
        site = Admin(proxy)
        site.wait_until("/readyz", 200)
        await visit(proxy.far, ["search"])
        # What has just been is not so long ago.
        Browser.wait(lambda: site.json("/status")["far_side"].get("request", {"age_seconds": 0})["age_seconds"] > 0, "an age", 10)

        def look() -> None:
            with Browser(script=False, width=390, height=844) as browser:
                browser.open(page(site))
                document = browser.command("DOM.getDocument", depth=-1)
                text = browser.command("DOM.getOuterHTML", nodeId=document["root"]["nodeId"])["outerHTML"]
                assert 'class="js"' not in text
                for words in ("Ready", DOMAIN, "1 failing", "the MCP server fails", "request finished", "days left", " ago<"):
                    assert words in text, words
                shoot(browser, "narrow-without-script")

        await asyncio.to_thread(look)


@pytest.mark.deadline(120)
async def test_what_came_from_the_network_is_text(start) -> None:
    """Host, path and method of requests, in table and log, when the page is loaded and when they come by themselves."""
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, **ADMIN)
        site = Admin(proxy)
        site.wait_until("/readyz", 200)

        async def attack() -> None:
            targets = [f"/{HOSTILE}", "/</code></td></tr></table><script>document.title='owned'</script>", "/'\"&amp;<!--"]
            for target in targets:
                async with proxy.far.http("echo") as http:
                    await http.request("GET", target)
            # A host holds nothing that HTML knows: these requests are refused, and told of in the log.
            for host in ("a'&lt;b;.example", f"{HOSTILE}.example"):
                async with proxy.far.http("echo") as http:
                    await http.request("GET", "/x", host=host)

        def look() -> None:
            with Browser() as browser:
                browser.open(page(site))
                browser.until("return document.getElementById('link').textContent === 'live'")
                asyncio.run_coroutine_threadsafe(attack(), loop).result(20)
                for _ in range(2):
                    browser.until("return document.querySelectorAll('#requests tr').length >= 3")
                    browser.until("return document.getElementById('log').textContent.includes('request finished')")
                    assert browser.run("return document.querySelectorAll('main img, main script, main title').length") == 0
                    assert "<script>" in browser.text("#requests") and "<script>" in browser.text("#log")
                    assert "bad request" in browser.text("#log")
                    assert browser.run("return document.title").startswith(DOMAIN)
                    assert browser.run("return document.querySelectorAll('.card').length") >= 8
                    browser.open(page(site))
                assert browser.complaints() == []

        loop = asyncio.get_running_loop()
        await asyncio.to_thread(look)


def test_the_policy_allows_what_is_in_the_document_and_nothing_else(start) -> None:
    site = Admin(start({"echo": "http://127.0.0.1:1"}, **ADMIN))
    status, fields, body = site.ask("/")
    policy = dict(part.split(" ", 1) for part in fields["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'" and "unsafe" not in fields["content-security-policy"]
    for name in ("script", "style"):
        found = re.findall(rf"<{name}>(.*?)</{name}>".encode(), body, re.DOTALL)
        digests = [base64.b64encode(hashlib.sha256(text).digest()).decode() for text in found]
        assert len(found) == 1 and policy[f"{name}-src"] == f"'sha256-{digests[0]}'"
    # Nothing from elsewhere, and no style or handler in an attribute, which the policy would forbid.
    text = body.decode()
    assert not re.search(r'\s(style|on[a-z]+)="', text) and not re.search(r'\ssrc="', text)
    assert set(re.findall(r'<link [^>]*href="([^"]*)"', text)) == {"data:,"}
    assert fields["cache-control"] == "no-store"
    with Browser() as browser:
        browser.open(page(site))
        browser.run("const s = document.createElement('script'); s.textContent = 'window.owned = 1'; document.body.append(s)")
        assert browser.run("return window.owned") is None
        assert any("Content Security Policy" in complaint for complaint in browser.complaints())


def test_a_thousand_routes(start) -> None:
    """They are there, found by typing, and the page is quick to load and to answer."""
    routes = {f"crm-{number:04}": "http://127.0.0.1:1" for number in range(999)} | {"far": "http://8.8.8.8:80"}
    site = Admin(start(routes, **ADMIN))
    site.wait_until("/readyz", 200)
    visible = "return [...document.getElementById('rows').rows].filter(row => !row.hidden).length"
    with Browser() as browser:
        began = time.monotonic()
        browser.open(page(site))
        assert time.monotonic() - began < 10
        browser.until("return document.getElementById('link').textContent === 'live'")
        assert browser.run(visible) == 1000
        took = browser.run(
            "const find = document.getElementById('find'), began = performance.now(); find.value = 'crm-077';"
            "find.dispatchEvent(new Event('input')); document.body.offsetHeight; return performance.now() - began")
        assert browser.run(visible) == 10 and took < 500
        browser.run("const find = document.getElementById('find'); find.value = ''; find.dispatchEvent(new Event('input'))")
        browser.click("#bad")
        assert browser.run(visible) == 1 and "refused" in browser.text("#rows tr:not([hidden])")
        browser.click("#bad")
        shoot(browser, "thousand")


@pytest.mark.deadline(120)
async def test_on_a_phone_and_by_keyboard(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream, "a-long-name-of-a-route-that-goes-on": upstream}, **ADMIN)
        site = Admin(proxy)
        site.wait_until("/readyz", 200)
        await visit(proxy.far, ["echo"])

        def look() -> None:
            with Browser(width=390, height=844) as browser:
                browser.open(page(site))
                browser.until("return document.getElementById('link').textContent === 'live'")
                # Tables scroll in their own frame; the page itself does not go sideways.
                assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
                browser.press("\ue004")
                assert browser.text(".skip:focus") == "Skip to the routes"
                stops = []
                for _ in range(40):
                    stops.append(browser.run("return document.activeElement.id || document.activeElement.textContent"))
                    browser.press("\ue004")
                for stop in ("find", "bad", f"echo.{DOMAIN}", "level", "filter", "pause", "Download", "/status"):
                    assert stop in stops, (stop, stops)
                shoot(browser, "narrow")
                accessible(browser)

        await asyncio.to_thread(look)


@pytest.mark.deadline(120)
async def test_it_finds_the_proxy_again(start, tmp_path: Path) -> None:
    """After a loss of the connection the page goes on by itself, and after other routes it is another one."""
    proxy = start({"echo": "http://127.0.0.1:1"}, **ADMIN)
    site = Admin(proxy)
    site.wait_until("/readyz", 200)

    def look() -> None:
        with Browser() as browser:
            browser.open(page(site))
            browser.until("return document.getElementById('link').textContent === 'live'")
            proxy.config_file.write_text(proxy.config_file.read_text().replace('echo: "', 'other: "'))
            proxy.signal(1)
            browser.until("return document.getElementById('rows').textContent.includes('other')")
            browser.until("return document.getElementById('link').textContent === 'live'")
            assert browser.run("return document.getElementById('rows').rows.length") == 1

    await asyncio.to_thread(look)


class Elsewhere(http.server.BaseHTTPRequestHandler):
    """An empty page of another site."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"hi")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def elsewhere():
    """The port of another web server on this machine."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


#: A fetch that is not for reading holds its connection as long as the response goes on; none of them tells the page what came.
ATTACK = """
    const [site, done] = arguments, asked = [];
    for (let i = 0; i < 6; i++) asked.push(fetch(site + 'events', {mode: 'no-cors'}));
    for (const path of ['logs', 'status', 'metrics', 'log-level']) asked.push(fetch(site + path, {mode: 'no-cors'}));
    asked.push(fetch(site + 'log-level', {mode: 'no-cors', method: 'POST', body: 'error'}));
    asked.push(new Promise(end => {
        const source = new EventSource(site + 'events'); source.onopen = source.onerror = end; }));
    for (const [kind, path] of [['img', 'events'], ['img', 'logs'], ['iframe', '']]) {
        const element = document.createElement(kind);
        asked.push(new Promise(end => { element.onload = element.onerror = end; }));
        element.src = site + path; document.body.append(element);
    }
    Promise.allSettled(asked).then(() => done(asked.length));
"""


@pytest.mark.deadline(120)
@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"], ids=["cross-site", "same-site"])
def test_a_page_of_another_site_gets_nothing_and_holds_nothing(start, elsewhere: int, name: str) -> None:
    """It may ask, as no browser hinders it, but each request is refused; a link to the page is followed, and works."""
    proxy = start({"echo": "http://127.0.0.1:1"}, log_level="debug", **ADMIN)
    site = Admin(proxy)
    site.wait_until("/readyz", 200)
    with Browser() as browser:
        browser.open(f"http://{name}:{elsewhere}/")
        mark = proxy.mark()
        assert browser.run_async(ATTACK, page(site)) == 15
        proxy.wait_for("admin request", since=mark, count=15)
        assert len(proxy.found("path=/events", mark)) == 8
        assert site.ask("/log-level")[2] == b"debug\n"
        # Nobody follows: all places are there, and each of those who ask has got one.
        with contextlib.ExitStack() as stack:
            for _ in range(16):
                connection = stack.enter_context(contextlib.closing(site.connect()))
                connection.request("GET", "/events")
                assert connection.getresponse().status == 200
        browser.run("location.href = arguments[0]", page(site))
        browser.until("return document.getElementById('link')?.textContent === 'live'")
        assert browser.text("h1") == DOMAIN
        browser.open(f"http://{name}:{elsewhere}/")
        browser.run("location.href = arguments[0]", f"{page(site)}logs")
        browser.until("return document.body?.textContent.includes('Refused: the request comes from another site')")


@pytest.mark.deadline(120)
def test_the_page_takes_the_place_of_who_has_not_read_it(start) -> None:
    """Where a browser does not say where a request comes from, all places may be held by pages of other sites."""
    site = Admin(start({"echo": "http://127.0.0.1:1"}, **ADMIN))
    site.wait_until("/readyz", 200)
    with contextlib.ExitStack() as stack:
        others = []
        for _ in range(16):
            connection = stack.enter_context(contextlib.closing(site.connect(timeout=20)))
            connection.request("GET", "/events")
            others.append(connection.getresponse())
        assert {other.status for other in others} == {200}
        assert site.ask("/events")[0] == 503 and site.ask("/events?instance=guess-1")[0] == 503
        with Browser() as browser:
            browser.open(page(site))
            browser.until("return document.getElementById('link').textContent === 'live'")
            # The first has had to go, and no other.
            with pytest.raises(http.client.IncompleteRead):
                others[0].read()
            assert all(other.readline() for other in others[1:])
            assert site.ask("/events")[0] == 503
