"""The completions of bash, zsh and fish, by these shells: every command and flag of the programs, and no other."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from pathlib import Path

import pytest
from roots import REPOSITORY, run
from test_man_pages import commands, flags

FOLDER = REPOSITORY / "deploy" / "completions"
SHELLS = ["bash", "zsh", "fish"]


def in_bash(line: str, folder: Path) -> set[str]:
    """What bash's function offers at the end of a line."""
    program = line.split()[0]
    # bash breaks words at = and : also.
    words = [word for word in re.split(r"([=:])|\s+", line) if word]
    if line[-1] in " ":
        words.append("")
    script = f"""
        compopt() {{ :; }}
        source {FOLDER}/bash/{program}
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE=
        _{program.replace("-", "_")}
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    return set(run("bash", "--norc", "-c", script, "bash", *words, cwd=folder).split("\n")) - {""}


def in_fish(line: str, folder: Path) -> set[str]:
    program = line.split()[0]
    script = f"source {FOLDER}/fish/{program}.fish; complete --do-complete '{line}'"
    offered = run("fish", "--no-config", "-c", script, cwd=folder)
    return {entry.split("\t")[0] for entry in offered.splitlines()}


def in_zsh(line: str, folder: Path) -> set[str]:
    """What an interactive zsh lists, in a terminal of its own."""
    start = f"""
        PS1='' RPS1='' ; unsetopt beep zle_bracketed_paste; unset zle_bracketed_paste
        fpath=({FOLDER}/zsh $fpath); autoload -U compinit; compinit -u -D
        zstyle ':completion:*' insert-unambiguous false; zstyle ':completion:*' menu no
        setopt no_list_ambiguous no_auto_menu no_always_last_prompt
        # In the place of the list: each candidate on a line of its own.
        compadd () {{
            if [[ ${{@[1,(i)(-|--)]}} == *-(O|A|D)\\ * ]]; then builtin compadd "$@"; return; fi
            local -a offered prefix; local i
            for ((i = 1; i < $#; i++)) {{ [[ $@[i] == -P ]] && prefix=$@[i + 1] }}
            builtin compadd -A offered "$@"
            builtin compadd "$@"
            for i in $offered; do print -r -- "<offered>$prefix$i</offered>" >>{folder}/offered; done
        }}
        finish() {{ print done >>{folder}/finished }}
        complete-and-finish() {{ zle list-choices; finish }}
        zle -N complete-and-finish; bindkey '^X' complete-and-finish
        print ready >>{folder}/started
    """
    (folder / "offered").write_text("")
    parent, child = pty.openpty()
    process = subprocess.Popen(
        ["zsh", "-f", "-i"], stdin=child, stdout=child, stderr=child, cwd=folder, start_new_session=True,
        env={"PATH": os.environ["PATH"], "TERM": "dumb", "HOME": str(folder)},
    )  # fmt: skip
    os.close(child)
    try:
        (folder / "start").write_text(start)
        os.write(parent, b"source ./start\n")
        read_until(parent, folder / "started")
        os.write(parent, line.encode() + b"\x18")
        read_until(parent, folder / "finished")
    finally:
        process.kill()
        process.wait()
        os.close(parent)
    return set(re.findall(r"<offered>(.*?)</offered>", (folder / "offered").read_text()))


def read_until(terminal: int, file: Path, seconds: float = 30) -> None:
    """Take what a terminal prints until a file is there."""
    printed = b""
    deadline = time.monotonic() + seconds
    while not file.exists():
        assert time.monotonic() < deadline, printed.decode(errors="replace")
        if select.select([terminal], [], [], 0.02)[0]:
            printed += os.read(terminal, 65536)


OFFERS = {"bash": in_bash, "zsh": in_zsh, "fish": in_fish}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder to complete names in."""
    (tmp_path / "certificates").mkdir()
    (tmp_path / "ca.crt").write_text("")
    return tmp_path


def offered_flags(offered: set[str]) -> set[str]:
    """Flags without dashes, and without the = that some shells put behind them."""
    return {word.lstrip("-").rstrip("=") for word in offered if word.startswith("-")}


@pytest.mark.parametrize("shell", SHELLS)
def test_setups_commands(shell: str, binaries: Path, folder: Path) -> None:
    listed = commands(binaries)
    first = OFFERS[shell]("mcp-tunnel-setup ", folder)
    assert {word for word in first if not word.startswith("-")} == {name.split()[0] for name in listed}
    for group in {name.split()[0] for name in listed if " " in name}:
        (folder / "finished").unlink(missing_ok=True)
        (folder / "started").unlink(missing_ok=True)
        second = OFFERS[shell](f"mcp-tunnel-setup {group} ", folder)
        assert second == {name.split()[1] for name in listed if name.startswith(f"{group} ")}


@pytest.mark.parametrize("shell", SHELLS)
def test_setups_flags(shell: str, binaries: Path, tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    assert offered_flags(OFFERS[shell]("mcp-tunnel-setup --", top)) == {"version", "help"}
    for command in commands(binaries):
        folder = tmp_path / command.replace(" ", "-")
        folder.mkdir()
        offered = offered_flags(OFFERS[shell](f"mcp-tunnel-setup {command} --", folder))
        assert offered == flags(run(binaries / "setup", *command.split(), "--help")), command


@pytest.mark.parametrize("shell", SHELLS)
def test_the_proxys_commands_and_flags(shell: str, binaries: Path, tmp_path: Path) -> None:
    usage = run(binaries / "mcp-proxy", "-help")
    named = re.findall(r"^  ([a-z]+)  +[a-z]", usage, re.M)
    expected = {"mcp-proxy -": flags(usage.split(f"\n  {named[0]}")[0])}
    for name in named:
        expected[f"mcp-proxy {name} -"] = flags(run(binaries / "mcp-proxy", name, "-help"))
    assert set().union(*expected.values()) == flags(usage)
    for number, (line, wanted) in enumerate(expected.items()):
        (tmp_path / str(number)).mkdir()
        assert offered_flags(OFFERS[shell](line, tmp_path / str(number))) == wanted, line
    (tmp_path / "words").mkdir()
    words = OFFERS[shell]("mcp-proxy ", tmp_path / "words")
    assert {word for word in words if not word.startswith("-")} == set(named)


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("mcp-tunnel-setup init --key-type ", {"rsa-2048", "rsa-3072", "rsa-4096", "ecdsa-p256", "ecdsa-p384"}),
        ("mcp-tunnel-setup init --key-type=ecdsa-p3", {"ecdsa-p384"}),
        ("mcp-tunnel-setup init --api-generation=", {"1", "2"}),
        ("mcp-tunnel-setup init --output=", {"dir:", "k8s-secret:"}),
        ("mcp-tunnel-setup init --output k", {"k8s-secret:"}),
        ("mcp-tunnel-setup init --output=dir:cert", {"certificates"}),
        ("mcp-tunnel-setup init --output dir:", {"certificates"}),
        ("mcp-tunnel-setup verify --ca ca", {"ca.crt"}),
        ("mcp-tunnel-setup certs add c", {"ca.crt", "certificates"}),
        ("mcp-tunnel-setup init --display-name ", set()),
        ("mcp-tunnel-setup nonsense --", set()),
        ("mcp-proxy -config c", {"ca.crt", "certificates"}),
        ("mcp-proxy demo -data=c", {"certificates"}),
        ("mcp-proxy healthcheck -addr u", {"unix:/"}),
    ],
)
def test_values_in_bash(line: str, wanted: set[str], folder: Path) -> None:
    assert in_bash(line, folder) == wanted


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_values(shell: str, folder: Path) -> None:
    offered = OFFERS[shell]("mcp-tunnel-setup init --key-type=ecdsa-", folder)
    assert {word.removeprefix("--key-type=") for word in offered} == {"ecdsa-p256", "ecdsa-p384"}


def test_a_tab_in_bash(folder: Path) -> None:
    """The key itself, in an interactive shell that loads the files as Debian's bash-completion does."""
    parent, child = pty.openpty()
    process = subprocess.Popen(
        ["bash", "--norc", "--noprofile", "-i"], stdin=child, stdout=child, stderr=child, cwd=folder,
        start_new_session=True, env={"PATH": os.environ["PATH"], "TERM": "dumb", "PS1": ""},
    )  # fmt: skip
    os.close(child)
    try:
        function = "mcp-tunnel-setup() { printf '%s\\n' \"$@\" >arguments.part; mv arguments.part arguments; }\n"
        os.write(parent, f"source {FOLDER}/bash/mcp-tunnel-setup; {function}".encode())
        os.write(parent, b"mcp-tunnel-setup gen\t--tun\tt.example --output=d\tcert\t --key-type=ecdsa-p3\t\n")
        read_until(parent, folder / "arguments")
    finally:
        process.kill()
        process.wait()
        os.close(parent)
    assert (folder / "arguments").read_text().splitlines() == [
        "generate-certs", "--tunnel-domain", "t.example", "--output=dir:certificates/", "--key-type=ecdsa-p384"
    ]  # fmt: skip
