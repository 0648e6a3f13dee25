"""Fixtures: a repository to try a release in, programs that stand in for ours, and a release that was made of both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from made import Made, stand_ins
from tree import Tree, run


@pytest.fixture(scope="session")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """The repository as it is, in one commit."""
    return Tree(tmp_path_factory.mktemp("committed") / "mcp-tunnel")


@pytest.fixture
def tree(committed: Tree) -> Iterator[Tree]:
    """The same to do with as one likes; afterwards it is as it was."""
    start = committed.git("rev-parse", "HEAD").strip()
    yield committed
    committed.git("reset", "--quiet", "--hard", start)
    committed.git("clean", "--quiet", "--force", "-d")
    for tag in committed.git("tag", "--list").split():
        committed.git("tag", "--delete", tag)


@pytest.fixture(scope="session")
def places(committed: Tree, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two clones at places whose names differ in length, with programs that were compiled there."""
    folder = tmp_path_factory.mktemp("places")
    both = folder / "a", folder / "somewhere/else/entirely"
    for place in both:
        run("git", "clone", "--quiet", committed.folder, place)
        stand_ins(place.with_name(place.name + "-programs"))
    return both


def make(place: Path, folder: Path) -> Made:
    run(place / "deploy/release/dist", folder, env={"BINARIES": str(place.with_name(place.name + "-programs"))})
    return Made(folder)


@pytest.fixture(scope="session")
def made(places: tuple[Path, Path]) -> Made:
    """A release. Not to be changed."""
    return make(places[0], places[0].with_name("release"))


@pytest.fixture(scope="session")
def made_again(places: tuple[Path, Path]) -> Made:
    """The same release, made at the other place."""
    return make(places[1], places[1].with_name("release"))


@pytest.fixture(scope="session")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Programs that are not those of the release, though they say that they are."""
    return stand_ins(tmp_path_factory.mktemp("others") / "programs", "not as released")


@pytest.fixture
def release(made: Made, tmp_path: Path) -> Made:
    """A copy to do with as one likes."""
    return made.copy(tmp_path / "release")
