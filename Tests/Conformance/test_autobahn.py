"""What a run of the Autobahn suite leaves to the next one, and how its words are weighed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from autobahn_suite import Journal, worst


def note(journal: Journal, name: str, behavior: str = "OK", close: str = "OK") -> None:
    with journal.path.open("a") as file:
        file.write(json.dumps({"id": name, "behavior": behavior, "behaviorClose": close, "duration": 1}) + "\n")


def test_a_run_that_was_ended_goes_on(tmp_path: Path) -> None:
    first = Journal(tmp_path / "a", "key")
    note(first, "1.1.1")
    assert list(Journal(tmp_path / "a", "key").verdicts()) == ["1.1.1"]


def test_what_has_ended_begins_anew(tmp_path: Path) -> None:
    first = Journal(tmp_path / "a", "key")
    note(first, "1.1.1")
    first.finish()
    assert Journal(tmp_path / "a", "key").verdicts() == {}


def test_other_programs_begin_anew(tmp_path: Path) -> None:
    note(Journal(tmp_path / "a", "key"), "1.1.1")
    assert Journal(tmp_path / "a", "another").verdicts() == {}


def test_the_last_word_counts_and_half_a_line_does_not(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a", "key")
    note(journal, "1.1.1", "FAILED")
    note(journal, "1.1.1")
    with journal.path.open("a") as file:
        file.write('{"id": "1.1.2", "behavior": "O')
    note(journal, "1.1.3")
    note(journal, "1.1.4")
    assert {name: worst(verdict) for name, verdict in journal.verdicts().items()} == {"1.1.1": "OK", "1.1.4": "OK"}


@pytest.mark.parametrize(("behavior", "close", "word"), [
    ("OK", "OK", "OK"), ("OK", "INFORMATIONAL", "INFORMATIONAL"), ("FAILED", "OK", "FAILED"), ("OK", "WRONG CODE", "WRONG CODE"),
    ("OK", "a word of tomorrow", "none"),
])
def test_the_worse_of_two_words_counts(behavior: str, close: str, word: str) -> None:
    assert worst({"behavior": behavior, "behaviorClose": close}) == word
