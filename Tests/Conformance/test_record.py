"""What fails a run, and how the page shows it; and the judge of the smuggling suite, who must not be kinder than the RFC."""

from __future__ import annotations

import pytest
import record
import strict_http
from record import Case, Suite

SUITE = Suite("s", "A suite", "About it.", {"good": 0, "fine": 0, "odd": 1, "bad": 5}, {"b": "known"})
CASES = [Case("a", "one", "good"), Case("b", "one", "odd"), Case("c", "two", "fine", is_bounded=False)]
KEPT = record.summary(SUITE, CASES)


def changed(name: str, verdict: str) -> list[Case]:
    return [case._replace(verdict=verdict) if case.name == name else case for case in CASES]


def test_the_same_again_is_no_fault() -> None:
    assert record.worse(SUITE, CASES, KEPT, bounded=False) == []
    assert record.worse(SUITE, CASES[:2], KEPT, bounded=True) == []


@pytest.mark.parametrize(("name", "verdict"), [("a", "odd"), ("a", "bad"), ("b", "bad"), ("c", "odd")])
def test_worse_names_the_case(name: str, verdict: str) -> None:
    (line,) = record.worse(SUITE, changed(name, verdict), KEPT, bounded=False)
    assert line.startswith(f"s {name}: {verdict}, was ")


@pytest.mark.parametrize(("name", "verdict", "count"), [("a", "fine", 0), ("b", "good", 1)])
def test_as_good_or_better_is_no_fault(name: str, verdict: str, count: int) -> None:
    assert record.worse(SUITE, changed(name, verdict), KEPT, bounded=False) == []
    assert record.better(SUITE, changed(name, verdict), KEPT) == count


def test_a_case_that_did_not_run_is_a_fault() -> None:
    assert record.worse(SUITE, CASES[1:], KEPT, bounded=False) == ["s: 1 of 3 cases did not run"]
    assert record.worse(SUITE, CASES[:1], KEPT, bounded=True) == ["s: 1 of 2 cases did not run"]


def test_a_suite_that_is_new_has_to_be_good() -> None:
    assert record.worse(SUITE, CASES, None, bounded=False) == ["s b: odd, was as it should be"]


def test_two_cases_of_a_name_are_a_fault() -> None:
    assert "s a: two cases have the name" in record.worse(SUITE, [*CASES, CASES[0]], KEPT, bounded=False)


def test_a_tool_that_is_gone_is_a_fault_of_a_whole_run() -> None:
    kept = {**KEPT, "tools": {"Go": "1.19"}}
    assert record.worse(SUITE, CASES, kept, bounded=False) == ["s: Go was not there"]
    assert record.worse(SUITE, CASES[:2], kept, bounded=True) == []
    assert "Recorded with Go 1.19." in record.page([SUITE], {"s": kept})


def test_the_page_shows_counts_and_remarks() -> None:
    page = record.page([SUITE], {"s": KEPT})
    assert "| [A suite](#a-suite) | 3 | 2 | 1 good, 1 fine, 1 odd |" in page
    assert "| one | 1 |  | 1 |" in page and "- `b`: known" in page


HOST = b"Host: echo.t.example\r\n"


@pytest.mark.parametrize(("data", "count", "rest"), [
    (b"GET / HTTP/1.1\r\n" + HOST + b"\r\n", 1, ""),
    (b"GET / HTTP/1.1\r\n" + HOST, 0, "incomplete"),
    (b"GET / HTTP/1.1\n" + HOST + b"\r\n", 0, "CR, LF or NUL in a line"),
    (b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 0, "Host"),
    (b"GET / HTTP/1.1\r\n" + HOST + b"A : b\r\n\r\n", 0, "a field"),
    (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello", 1, ""),
    (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +5\r\n\r\nhello", 0, "Content-Length"),
    (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 0, "Transfer-Encoding"),
    (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5;a=\"b\"\r\nhello\r\n0\r\n\r\n", 1, ""),
    (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", 0, "the size of a chunk"),
    (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhello\r\n", 0, "data longer than its chunk"),
])
def test_the_judge(data: bytes, count: int, rest: str) -> None:
    found, what = strict_http.requests(data)
    assert (len(found), what) == (count, rest)


BODY = b"Content-Length: 2\r\n\r\nhi"


@pytest.mark.parametrize(("line", "strictly", "kindly"), [
    (b"HTTP/1.1 200 OK\r\n", True, True), (b"HTTP/1.1 200 \r\n", True, True), (b"HTTP/1.1 200\r\n", False, True),
    (b"HTTP/1.1 2000\r\n", False, False), (b"HTTP/1.1 200\tOK\r\n", False, False), (b"HTTP/1.1  200\r\n", False, False),
    (b"HTTP/1.1 101\r\n", False, False), (b"HTTP/1.1 100\r\n\r\nHTTP/1.1 200\r\n", False, True),
])
def test_the_judge_of_status_lines(line: bytes, strictly: bool, kindly: bool) -> None:
    for bare_status, is_right in ((False, strictly), (True, kindly)):
        try:
            assert strict_http.response(line + BODY, has_ended=False, bare_status=bare_status).body == b"hi" and is_right
        except strict_http.Invalid:
            assert not is_right
