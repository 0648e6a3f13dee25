"""The man pages against what they describe: every command, flag and field, and no other."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from roots import REPOSITORY, run

PAGES = sorted((REPOSITORY / "deploy" / "man").iterdir())
MAN = REPOSITORY / "deploy" / "man"


def commands(binaries: Path) -> list[str]:
    """The commands of setup, as its usage lists them."""
    usage = run(binaries / "setup", "--help")
    return re.findall(r"^  ([a-z]+(?:-[a-z]+)*(?: [a-z]+)?)  +[a-z]", usage, re.M)


def flags(help_text: str) -> set[str]:
    """The flags that a help text explains, without their dashes."""
    return set(re.findall(r"^ +--?([a-zA-Z][a-z0-9-]*)", help_text, re.M))


def test_are_correct() -> None:
    # All at once and from their folder, so that mandoc finds what one says of the other.
    result = subprocess.run(
        ["mandoc", "-T", "lint", *(page.name for page in PAGES)], cwd=MAN, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    # A BSD names itself there; these pages name the package and its version, and no system.
    found = [line for line in (result.stdout + result.stderr).splitlines() if "system explicitly specified: Os mcp-tunnel" not in line]
    assert found == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_are_shown(page: Path) -> None:
    result = subprocess.run(
        ["man", "--warnings", "--local-file", str(page)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        env={"PATH": "/usr/bin:/bin", "MANROFFSEQ": "", "MANWIDTH": "80", "LC_ALL": "C.UTF-8"}, timeout=60,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.count("\n") > 30


def test_setup_pages_commands(binaries: Path) -> None:
    listed = commands(binaries)
    assert len(listed) >= 13
    page = (MAN / "mcp-tunnel-setup.1").read_text()
    section = page.split(".Ss Commands\n")[1].split(".Ss Flags\n")[0]
    # `.It Cm tunnels get Op Ar id`: the words before the next macro.
    documented = [re.sub(r" (?:Op|Ar)\b.*", "", name) for name in re.findall(r"^\.It Cm (.*)$", section, re.M)]
    assert documented == listed


def test_setup_pages_flags(binaries: Path) -> None:
    page = (MAN / "mcp-tunnel-setup.1").read_text()
    described = page.split(".Ss Flags\n")[1].split(".Sh ENVIRONMENT\n")[0]
    explained = set(re.findall(r"^\.It Fl -([a-z-]+)", described, re.M))
    every = flags(run(binaries / "setup", "--help"))
    for command in commands(binaries):
        text = run(binaries / "setup", *command.split(), "--help")
        of_command = flags(text)
        every |= of_command
        section = re.search(rf"^\.It Cm {command}\b.*?(?=^\.It Cm|^\.El)", page, re.M | re.S)
        assert section
        listed = set(re.findall(r"^\.Fl -([a-z-]+)", section[0].split("\nFlags:\n")[1], re.M))
        assert listed == of_command, command
    assert explained == every


def test_setup_pages_values(binaries: Path) -> None:
    """Which flags take a value, and which variable is read where a flag is not given."""
    page = (MAN / "mcp-tunnel-setup.1").read_text()
    for command in commands(binaries):
        text = run(binaries / "setup", *command.split(), "--help")
        for name, value, meaning in re.findall(r"^  --([a-z-]+)( \S+)?  +(.*)$", text, re.M):
            entry = re.search(rf"^\.It Fl -{name}(.*)\n(?s:(.*?))(?=^\.It|^\.El)", page, re.M)
            assert entry, name
            assert bool(value) == entry[1].startswith(" Ar "), name
            if variable := re.search(r"\[([A-Z_]+)\]$", meaning):
                assert f".Ev {variable[1]}" in entry[2], name


def test_setup_pages_environment(binaries: Path) -> None:
    usage = run(binaries / "setup", "--help")
    named = set(re.findall(r"\b(?:[A-Z]+_)+[A-Z]+\b", usage))
    page = (MAN / "mcp-tunnel-setup.1").read_text()
    section = page.split(".Sh ENVIRONMENT\n")[1].split("\n.Sh ")[0]
    described = {name for line in re.findall(r"^\.It Ev (.*)$", section, re.M) for name in line.split(" , ")}
    assert named <= described
    source = "".join(file.read_text() for file in (REPOSITORY / "Sources/setup").rglob("*.swift"))
    assert all(f'"{name}"' in source for name in described)


def test_proxy_page(binaries: Path) -> None:
    usage = run(binaries / "mcp-proxy", "-help")
    page = (MAN / "mcp-proxy.1").read_text()
    assert set(re.findall(r"^\.It Fl ([a-zA-Z0-9-]+)", page, re.M)) == flags(usage)
    # Beside flags, only commands stand at the beginning of a line of the list.
    named = re.findall(r"^  ([a-z]+)  +[a-z]", usage, re.M)
    assert named and re.findall(r"^\.It Cm ([a-z]+)", page, re.M) == named
    synopsis = page.split(".Sh SYNOPSIS\n")[1].split(".Sh ")[0]
    assert set(re.findall(r"Fl ([a-zA-Z0-9-]+)", synopsis)) | {"help"} == flags(usage)


def test_configuration_page() -> None:
    """Each field has the type, the default and the need of a restart that docs/configuration.md has."""
    documents = (REPOSITORY / "docs" / "configuration.md").read_text()
    expected = []
    rows = re.findall(r"^\| `([a-z0-9_.]+)` \| `(.*?)` \| `(.*?)` \| (.*) \|$", documents, re.M)
    for name, kind, default, meaning in rows:
        value = {"required": "required", "none": "no default"}.get(default, f"default {default}")
        expected.append((name, f"{kind}; {value}", "*Restart.*" in meaning))
    assert len(expected) > 30
    page = (MAN / "mcp-proxy.yaml.5").read_text()
    section = page.split(".Sh CONFIGURATION FIELDS\n")[1].split("\n.Sh ")[0]
    entries = re.findall(r"^\.It Va (\S+) Pq (.*)\n(?s:(.*?))(?=^\.It|^\.El)", section, re.M)
    found = [(name, kind, "It takes a restart to change." in text) for name, kind, text in entries]
    assert found == expected


def test_configuration_page_numbers() -> None:
    """Each number and quoted word of a field's description is in the page's too."""
    documents = (REPOSITORY / "docs" / "configuration.md").read_text()
    page = (MAN / "mcp-proxy.yaml.5").read_text()
    for name, meaning in re.findall(r"^\| `([a-z0-9_.]+)` \| `.*?` \| `.*?` \| (.*) \|$", documents, re.M):
        entry = re.search(rf"^\.It Va {name} Pq .*\n(?s:(.*?))(?=^\.It|^\.El)", page, re.M)
        assert entry, name
        for word in re.findall(r"`-?([^`]+)`", meaning) + re.findall(r"\b\d{2,}\b", meaning):
            assert word in entry[1], (name, word)


def test_configuration_pages_example(binaries: Path, tmp_path: Path) -> None:
    """The proxy reads the example, and misses only the files that it names."""
    page = (MAN / "mcp-proxy.yaml.5").read_text()
    example = page.split(".Bd -literal -offset indent\n")[1].split("\n.Ed")[0]
    file = tmp_path / "config.yaml"
    file.write_text(example)
    result = subprocess.run(
        [binaries / "mcp-proxy", "-config", file], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20
    )
    assert result.returncode == 1
    assert "/etc/ssl/corp-ca.pem" in result.stderr or "/var/lib/mcp-tunnel/tls" in result.stderr
    assert "config.yaml:" not in result.stderr or "no such file" in result.stderr


def test_every_program_has_a_page(files: Path) -> None:
    programs = {path.name for path in (files / "usr/bin").iterdir()}
    pages = {path.name.removesuffix(".1.gz") for path in (files / "usr/share/man/man1").iterdir()}
    assert programs == pages == {"mcp-proxy", "mcp-tunnel-setup"}
