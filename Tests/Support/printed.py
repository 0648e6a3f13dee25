"""The commands that the documents print: which blocks of Markdown are commands, and what each of their lines is.

    blocks_under("README.md", "Run it")     the blocks of a section, to be run as they stand
"""

from __future__ import annotations

import pathlib
import re
import subprocess
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parents[2]
#: What a block of commands begins with, when nothing says of what kind it is.
PROGRAMS = re.compile(
    r"(?:sudo |[A-Z_]+=\S+ |\$ )*(?:\./|\.build/\S+/|/usr/\S+/)?(?:apt-get|cat|chmod|chown|cloudflared|cp|curl|docker"
    r"|docker-compose|dpkg|export|git|helm|install|journalctl|kubectl|make|mcp-proxy|mcp-tunnel-setup|mkdir|openssl|rm"
    r"|setup|skopeo|sudo|swift|systemctl|umask|unset)(?: (?! )(?![a-z -]+: )|$)")
SHELLS = {"sh", "bash", "shell", "console"}
POWERSHELL = {"powershell", "pwsh"}


def documents() -> list[str]:
    patterns = ["README.md", "CONTRIBUTING.md", "docs/*.md", "deploy/*.md", "deploy/debian/README.Debian"]
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    return sorted(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split())


def lines(names: list[str]) -> Iterator[tuple[str, str]]:
    """The commands in blocks of code, by place, with continued lines joined and comments off."""
    for name in names:
        for number, block in blocks((ROOT / name).read_text()):
            for offset, command in commands(block):
                yield f"{name}:{number + offset}", command


def blocks_under(name: str, heading: str) -> list[str]:
    """The blocks of commands in the section of a heading, up to the next heading of its level or above."""
    text = (ROOT / name).read_text()
    found = re.search(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE)
    assert found, f"{name} has no heading {heading}"
    rest = text[found.end() :]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
    return ["\n".join(line.strip() for line in block) + "\n" for _, block in blocks(rest[: end and end.start()])]


def blocks(text: str) -> Iterator[tuple[int, list[str]]]:
    """Blocks of shell commands: fenced as such, or fenced and indented ones that begin with a program that we know."""
    block: list[str] = []
    start, fence, kind, was_blank, margin = 0, "", "", True, 0
    for number, line in enumerate([*text.split("\n"), "end"], 1):
        mark = re.match(r"\s*(`{3,})(\w*)", line)
        if fence:
            if mark and mark[1] == fence and not mark[2]:
                if kind in SHELLS | POWERSHELL or not kind and is_commands(block):
                    yield start, block
                fence, block = "", []
            else:
                block.append(line)
            continue
        if mark:
            if is_commands(block):
                yield start, block
            fence, kind, start, block = mark[1], mark[2], number + 1, []
            continue
        # Four columns further in than the text around: a list's own text is further in as well.
        item = re.match(r"(\s*)(?:\d+\.|[-*]) +", line)
        indent = len(line) - len(line.lstrip())
        if block and (indent >= margin + 4 or not line.strip()):
            block.append(line)
        elif was_blank and line.strip() and indent >= margin + 4 and not item:
            start, block = number, [line]
        else:
            if block:
                if is_commands(block):
                    yield start, block
                block = []
            if item:
                margin = item.end()
            elif line.strip() and indent < margin:
                margin = 0
        was_blank = not line.strip()


def is_commands(block: list[str]) -> bool:
    first = next((line.strip() for line in block if line.strip() and not line.strip().startswith("#")), "")
    return bool(PROGRAMS.match(first))


def commands(block: list[str]) -> Iterator[tuple[int, str]]:
    joined, start, document = "", 0, ""
    for offset, line in enumerate(block):
        text = line.strip()
        if document:
            if text == document:
                document = ""
            continue
        if not joined:
            start = offset
        joined = f"{joined} {text}".strip() if joined else text
        if joined.endswith((" \\", " `")):
            joined = joined[:-1].rstrip()
            continue
        command = re.sub(r"(^|\s{2,}|\s(?=#\s))#\s.*$", "", joined).strip()
        joined = ""
        if here := re.search(r"<<-?\s*'?(\w+)'?", command):
            document = here[1]
        if command and not command.startswith("#"):
            yield start, command
