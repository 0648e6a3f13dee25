"""The workflow that a fork gets: it runs what CI runs, with what cannot change under it."""

from __future__ import annotations

import re

from conftest import REPOSITORY

WORKFLOW = (REPOSITORY / ".github/workflows/ci.yml").read_text()


def test_it_runs_what_ci_runs() -> None:
    commands = re.findall(r"^ +command: (.*)$", WORKFLOW, re.MULTILINE)
    assert commands == [".ci/run", "make conformance"]
    steps = re.findall(r"^step (make [a-z-]+)", (REPOSITORY / ".ci/run").read_text(), re.MULTILINE)
    assert {"make lint", "make test", "make bench-quick", "make gates"} <= set(steps)


def test_actions_are_pinned_and_the_compiler_is_that_of_the_image() -> None:
    used = re.findall(r"uses: (.*)$", WORKFLOW, re.MULTILINE)
    assert used and all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action) for action in used)
    (image,) = re.findall(r"^ARG SWIFT_IMAGE=(.*)$", (REPOSITORY / "deploy/Dockerfile").read_text(), re.MULTILINE)
    assert re.findall(r"^ +image: (.*)$", WORKFLOW, re.MULTILINE) == [image]


def test_it_may_read_and_nothing_else() -> None:
    assert re.findall(r"^permissions:\n((?: +.*\n)+)", WORKFLOW, re.MULTILINE) == ["  contents: read\n"]
    assert "persist-credentials: false" in WORKFLOW and "secrets." not in WORKFLOW
