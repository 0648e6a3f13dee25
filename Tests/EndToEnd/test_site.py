"""The site of `make docs` in a browser, and its checks. `make docs-test` says in SITE where it is."""

from __future__ import annotations

import functools
import html
import http.server
import importlib.machinery
import importlib.util
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import REPOSITORY
from peers.browser import Browser

SITE = Path(os.environ["SITE"])
GUIDES = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html") if SITE / "api" not in path.parents)
LIBRARIES = sorted(path.parent.name for path in REPOSITORY.glob("Sources/*/Documentation.docc"))
ARTICLES = sorted(
    path for path in REPOSITORY.glob("Sources/*/Documentation.docc/*.md") if path.stem != path.parts[-3])


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(SITE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def narrow() -> Iterator[Browser]:
    with Browser(width=390, height=800, dark=True) as browser:
        yield browser


def wide_parts(browser: Browser) -> int:
    """By how many pixels the page is wider than the window."""
    return browser.run("return document.documentElement.scrollWidth - window.innerWidth")


@pytest.mark.deadline(120)
def test_every_guide_loads(address: str, browser: Browser, narrow: Browser) -> None:
    assert "index.html" in GUIDES and "docs/embedding.html" in GUIDES and "Examples/README.html" in GUIDES
    for guide in GUIDES:
        source = REPOSITORY / ("README.md" if guide == "index.html" else guide.replace(".html", ".md"))
        if source.exists():
            (title, *_) = re.findall(r"^# (.*)$", source.read_text(), re.MULTILINE)
        else:
            # The list of a folder's files.
            title = guide.removesuffix("/index.html")
        for window in (browser, narrow):
            window.open(f"{address}/{guide}")
            assert window.run("return document.title") == title.replace("`", "") + " · mcp-tunnel"
            assert window.complaints() == [], guide
            assert wide_parts(window) <= 0, guide


def api_page(browser: Browser, url: str, title: str) -> None:
    browser.open(url)
    browser.until("return document.title === arguments[0]", title)
    browser.until("return document.querySelector('h1')?.textContent.trim().length > 0")
    assert browser.complaints() == [], url


@pytest.mark.deadline(120)
def test_every_library_and_article_loads(address: str, browser: Browser) -> None:
    assert LIBRARIES and len(ARTICLES) >= 2 * len(LIBRARIES)
    for library in LIBRARIES:
        api_page(browser, f"{address}/api/documentation/{library.lower()}/", f"{library} | Documentation")
    for article in ARTICLES:
        library = article.parts[-3].lower()
        (heading,) = re.findall(r"^# (.*)$", article.read_text(), re.MULTILINE)
        api_page(
            browser, f"{address}/api/documentation/{library}/{article.stem.lower()}/", f"{heading} | Documentation")


def test_api_begins_with_all_libraries(address: str, browser: Browser) -> None:
    api_page(browser, f"{address}/api/documentation/", "mcp-tunnel | Documentation")
    for library in LIBRARIES:
        browser.until("return document.querySelector('main, .doc-content, #app').textContent.includes(arguments[0])", library)


def test_symbol_shows_its_comment(address: str, browser: Browser) -> None:
    api_page(browser, f"{address}/api/documentation/tunnelcore/serverhandshake/", "ServerHandshake | Documentation")
    browser.until("return document.body.textContent.includes('opening handshake (RFC 6455 §4.2)')")


def check(site: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([REPOSITORY / "docs/site/check", site], capture_output=True, text=True)


def test_broken_links_are_found(tmp_path: Path) -> None:
    """Each kind of link, broken alone, is named; nothing else is."""
    site = tmp_path / "site"
    shutil.copytree(SITE, site)
    assert check(site).returncode == 0
    page, data = site / "docs/embedding.html", site / "api/data/documentation/tunnelcore.json"
    good, good_data = page.read_text(), data.read_text()
    for link, why in (
        ("nowhere.html", "docs/embedding.html: there is no nowhere.html"),
        ("../index.html#nowhere", "docs/embedding.html: index.html has no anchor #nowhere"),
        ("#nowhere", "docs/embedding.html: docs/embedding.html has no anchor #nowhere"),
        ("../../outside.html", "docs/embedding.html: there is no ../../outside.html"),
    ):
        page.write_text(good.replace("</main>", f'<a href="{html.escape(link)}">x</a></main>'))
        result = check(site)
        assert result.returncode == 1 and result.stdout == f"{why}\n"
    page.write_text(good)
    content = json.loads(good_data)
    content["references"]["x"] = {"url": "/documentation/tunnelcore/nowhere"}
    data.write_text(json.dumps(content))
    result = check(site)
    assert result.returncode == 1
    assert result.stdout == "api/data/documentation/tunnelcore.json: there is no /documentation/tunnelcore/nowhere\n"
    data.write_text(good_data)
    assert check(site).returncode == 0


def test_broken_link_in_an_article_fails_the_build(tmp_path: Path) -> None:
    """By what the build itself does. Without symbols, so links to them are taken out."""
    loader = importlib.machinery.SourceFileLoader("site_build", str(REPOSITORY / "docs/site/build"))
    build = importlib.util.module_from_spec(importlib.util.spec_from_loader("site_build", loader))
    loader.exec_module(build)
    catalogue = tmp_path / "Documentation.docc"
    catalogue.mkdir()
    root = catalogue / "Root.md"
    root.write_text("# Root\n\n@Metadata {\n    @TechnologyRoot\n}\n\nSee <doc:Article>.\n")
    (catalogue / "Article.md").write_text("# Article\n\nWords.\n")
    assert build.convert(catalogue, tmp_path / "good", "Root", "/") == []
    root.write_text(root.read_text() + "\nAnd <doc:Nowhere>.\n")
    (problem,) = build.convert(catalogue, tmp_path / "bad", "Root", "/")
    assert "Root.md:9: " in problem and "Nowhere" in problem
