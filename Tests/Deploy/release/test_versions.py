"""One table of versions: what disagrees with it is found, and `raise` writes everything that follows from it."""

from __future__ import annotations

import re

import pytest
from tree import Tree

CORE = "Sources/TunnelCore"
LIBRARIES = ("TunnelCore", "TunnelTLS", "TunnelPKI", "TunnelProxy", "TunnelAPI", "TunnelSetup")
#: A file, what is in it, what somebody makes of it, and what is said then.
DISAGREEMENTS = [
    (
        f"{CORE}/Version.swift",
        'current = "0.2.0"',
        'current = "0.2.1"',
        r":4: 0\.2\.1, and the table has 0\.2\.0 for TunnelCore",
    ),
    (f"{CORE}/Version.swift", "example `0.2.0`", "example `0.1.0`", r":3: 0\.1\.0, and the table"),
    (f"{CORE}/Version.swift", "static let current", "static let now", ": nothing like "),
    ("Sources/TunnelCLI/PackageVersion.swift", 'current = "0.2.0"', 'current = "0.3.0"', r": 0\.3\.0, and .* for package"),
    (f"{CORE}/CHANGELOG.md", "## 0.2.0", "## 0.2.1", r": the first version is 0\.2\.1, and by the table it is 0\.2\.0"),
    (f"{CORE}/CHANGELOG.md", "## 0.1.0", "## 0.0.9", r": nothing about 0\.1\.0"),
    (f"{CORE}/CHANGELOG.md", "## 0.1.0", "## Unreleased\n\n## 0.1.0", ": Unreleased comes first"),
    (
        "CHANGELOG.md",
        "## 0.2.0 (unreleased)",
        "## 0.2.0",
        r": the first version is 0\.2\.0, and by the table it is 0\.2\.0 \(unreleased\)",
    ),
    ("deploy/debian/changelog", "mcp-tunnel (0.2.0)", "mcp-tunnel (0.2.0-1)", r":1: 0\.2\.0-1, and"),
    (
        "deploy/helm/mcp-tunnel/Chart.yaml",
        "appVersion: 0.2.0",
        "appVersion: 0.1.0",
        r": 0\.1\.0, and the table has 0\.2\.0 for package",
    ),
    (
        "deploy/helm/mcp-tunnel/Chart.yaml",
        "\nversion: 1.0.0",
        "\nversion: 1.1.0",
        r": 1\.1\.0, and the table has 1\.0\.0 for chart",
    ),
    ("deploy/man/mcp-proxy.1", ".Os mcp-tunnel 0.2.0", ".Os mcp-tunnel 0.1.0", r":3: 0\.1\.0, and"),
    ("deploy/man/mcp-proxy.yaml.5", ".Os mcp-tunnel 0.2.0", ".Os", ": nothing like "),
    ("deploy/compose/docker-compose.yaml", "mcp-tunnel:0.2.0", "mcp-tunnel:0.1.0", r": 0\.1\.0, and"),
    ("deploy/helm/mcp-tunnel/README.md", "mcp-tunnel:0.2.0", "mcp-tunnel:0.2.9", r": 0\.2\.9, and"),
    ("deploy/helm/mcp-tunnel/README.md", "mcp-tunnel-1.0.0.tgz", "mcp-tunnel-1.0.1.tgz", r": 1\.0\.1, and .* chart"),
    ("docs/moving.md", "mcp-tunnel:0.2.0", "mcp-tunnel:0.1.0", r": 0\.1\.0, and"),
    ("README.md", 'from: "0.2.0"', 'from: "0.1.0"', r": 0\.1\.0, and"),
    ("README.md", '.upToNextMinor(from: "0.2.0")', 'branch: "main"', ": nothing like "),
    ("Tests/Deploy/chart/golden/managed.yaml", 'version: "0.2.0"', 'version: "0.1.0"', r": 0\.1\.0, and"),
    ("docs/releases.md", "| 0.1.0 | 2026-11-26 |", "| 0.1.0 | 2026-11-27 |", ": its table is not that of"),
    (
        "Package.swift",
        '.library(name: "TunnelAPI"',
        '.library(name: "TunnelAPIs"',
        ": 0.2.0: TunnelAPI is no library of Package.swift",
    ),
]
TABLE = "deploy/release/versions.toml"
BAD_TABLES = [
    ('TunnelTLS = "0.2.0"', 'TunnelTLS = "0.2"', "0.2.0: TunnelTLS is '0.2', which is no version"),
    ('TunnelTLS = "0.2.0"', 'TunnelTLS = "0.2.01"', "which is no version"),
    ('TunnelTLS = "0.2.0"\n', "", "TunnelTLS is a library of Package.swift without a version"),
    ('TunnelTLS = "0.2.0"', 'TunnelTLS = "0.0.9"', "0.2.0: TunnelTLS is 0.0.9, and was 0.1.0 before"),
    ('package = "0.2.0"', 'package = "0.1.1"', "0.1.1: the package was 0.1.0, and a library in it has changed by more"),
    ('package = "0.2.0"', 'package = "0.1.0"', "0.1.0: the package was 0.1.0"),
    ('date = "2026-11-26"', 'date = "unreleased"', "0.1.0: only the first row may be unreleased"),
    ('date = "unreleased"', 'date = "soon"', "0.2.0: date is 'soon'"),
    ('chart = "1.0.0"\n', "", "0.2.0: no chart"),
    ("[[release]]\npackage", "[[release]\npackage", "not a table of releases"),
]


def test_this_repository_is_in_order(committed: Tree) -> None:
    assert committed.check() == []


@pytest.mark.parametrize(("name", "old", "new", "said"), DISAGREEMENTS, ids=lambda value: str(value)[:40])
def test_a_disagreement_is_found(tree: Tree, name: str, old: str, new: str, said: str) -> None:
    tree.edit(name, old, new)
    found = tree.check()
    shown = TABLE if name == "Package.swift" else name
    assert any(
        re.match(
            re.escape(shown) + "[^ ]*" + said.lstrip(":") if said[:1] != ":" else re.escape(shown) + r"(:\d+)?" + said, line
        )
        for line in found
    ), found


@pytest.mark.parametrize(("old", "new", "said"), BAD_TABLES, ids=lambda value: str(value)[:40])
def test_a_table_that_is_wrong_in_itself(tree: Tree, old: str, new: str, said: str) -> None:
    tree.edit(TABLE, old, new)
    found = tree.check()
    assert any(line.startswith(TABLE) and said in line for line in found), found


def write(tree: Tree, column: str, words: str) -> None:
    name = "CHANGELOG.md" if column == "package" else f"Sources/{column}/CHANGELOG.md"
    text = tree.text(name)
    start = text.index("## ")
    (tree.folder / name).write_text(f"{text[:start]}## Unreleased\n\n- {words}\n\n{text[start:]}")


def test_a_release_and_the_changes_after_it(tree: Tree) -> None:
    tree.raise_("--released", "2026-12-01")
    assert tree.check() == []
    assert "\n## 0.2.0 (2026-12-01)\n" in tree.text("CHANGELOG.md")
    assert "  Tue, 01 Dec 2026 12:00:00 +0000\n" in tree.text("deploy/debian/changelog").split("\n\n")[2] + "\n"
    tree.commit("Release 0.2.0")
    tree.git("tag", "--annotate", "0.2.0", "--message", "mcp-tunnel 0.2.0")
    assert tree.check("--tag") == []

    # Nothing may change without a number of its own.
    (tree.folder / "Sources/TunnelPKI/Bytes.swift").open("a").write("// changed\n")
    assert [line.split(":")[0] for line in tree.check()] == [TABLE, "Sources/TunnelPKI"]
    write(tree, "TunnelPKI", "A comment.")
    assert any("changes wait under Unreleased" in line for line in tree.check())
    tree.raise_("TunnelPKI", "patch")
    assert tree.check() == []
    assert tree.text("Sources/TunnelPKI/CHANGELOG.md").count("\n## 0.2.1\n\n- A comment.\n\n## 0.2.0\n") == 1
    assert "## 0.2.1 (unreleased)\n\n- [TunnelPKI](Sources/TunnelPKI/CHANGELOG.md) is 0.2.1.\n" in tree.text("CHANGELOG.md")
    assert tree.text("deploy/debian/changelog").startswith("mcp-tunnel (0.2.1) unstable")
    assert 'current = "0.2.0"' in tree.text("Sources/TunnelCore/Version.swift")
    assert "mcp-tunnel:0.2.1" in tree.text("deploy/compose/docker-compose.yaml")

    # A greater change in the same time: all of it belongs to the new number.
    write(tree, "TunnelPKI", "Another one.")
    write(tree, "package", "What users notice.")
    tree.raise_("TunnelPKI", "minor")
    assert tree.check() == []
    changes = tree.text("Sources/TunnelPKI/CHANGELOG.md")
    assert "\n## 0.3.0\n\n- A comment.\n\n- Another one.\n\n## 0.2.0\n" in changes and "0.2.1" not in changes
    programs = tree.text("CHANGELOG.md")
    assert "- What users notice." in programs.split("## 0.2.0")[0] and "is 0.3.0." in programs and "0.2.1" not in programs
    assert "0.2.1" not in tree.text("deploy/debian/changelog") + tree.text("docs/releases.md")

    # A second change of that kind raises nothing more.
    write(tree, "TunnelPKI", "A third.")
    assert "TunnelPKI    0.3.0\n" in tree.raise_("TunnelPKI", "minor")
    assert "\n- A third.\n" in tree.text("Sources/TunnelPKI/CHANGELOG.md").split("## 0.2.0")[0]
    assert tree.check() == []
    tree.commit("More")
    assert any("by the table it is 0.3.0" in line for line in tree.check("--tag"))


def test_the_table_follows_the_package(tree: Tree) -> None:
    tree.raise_("--released", "2026-12-01")
    tree.raise_("package", "patch")
    tree.raise_("chart", "minor")
    assert tree.check() == []
    row = next(line for line in tree.text("docs/releases.md").split("\n") if line.startswith("| 0.2.1 "))
    assert row == "| 0.2.1 | unreleased | 0.2.0 | 0.2.0 | 0.2.0 | 0.2.0 | 0.2.0 | 0.2.0 | 1.1.0 |"
    assert "helm.sh/chart: mcp-tunnel-1.1.0" in tree.text("Tests/Deploy/chart/golden/managed.yaml")
    assert tree.text(TABLE).startswith("# The truth about versions")


def test_raise_says_what_it_lacks(tree: Tree) -> None:
    tree.raise_("--released", "2026-12-01")
    before = tree.git("diff", "--stat")
    assert "nothing is written under `## Unreleased`" in tree.raise_("TunnelCore", "minor", status=1)
    assert "MODULE: package, chart, TunnelCore" in tree.raise_("TunnelCore", "huge", status=2)
    assert "usage" not in tree.raise_("TunnelIO", "minor", status=2)
    assert "0.2.0 was released on 2026-12-01" in tree.raise_("--released", status=1)
    assert tree.git("diff", "--stat") == before


def test_a_release_leaves_no_words_behind(tree: Tree) -> None:
    write(tree, "TunnelTLS", "Not yet raised.")
    assert "Sources/TunnelTLS/CHANGELOG.md: changes wait" in tree.raise_("--released", "2026-12-01", status=1)
    assert "a date is written" in tree.raise_("--released", "1.12.2026", status=1)


def test_a_released_row_is_not_rewritten(tree: Tree) -> None:
    tree.raise_("--released", "2026-12-01")
    tree.commit("Release 0.2.0")
    tree.git("tag", "0.2.0")
    tree.raise_("package", "patch")
    tree.edit(TABLE, 'date = "2026-12-01"', 'date = "2026-12-02"')
    assert f"{TABLE}: the row of 0.2.0 is not what it was at that tag" in tree.check()
    tree.git("tag", "0.1.7")
    assert f"{TABLE}: there is a tag 0.1.7, and no row for it" in tree.check()


def test_without_a_tag_it_is_no_release(tree: Tree) -> None:
    found = tree.check("--tag")
    assert [line.split(": ")[-1] for line in found] == [
        "deploy/release/raise --released",
        "this commit has no tag, and by the table it is 0.2.0",
    ]
    (tree.folder / "left").write_text("")
    assert "there is what is not committed" in tree.check("--tag")
