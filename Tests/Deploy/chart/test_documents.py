"""Commands for Helm and Kubernetes in the documents name what the chart makes, and kubectl understands those that it can
judge without a cluster. The commands that the rendered objects run are in test_commands.py."""

import re
import shlex
import shutil
import subprocess

import pytest
import yaml

import chart
import test_readme

DOCUMENTS = [
    "deploy/helm/mcp-tunnel/README.md",
    "docs/operating.md",
    "docs/troubleshooting.md",
    "docs/quickstart.md",
]
# What somebody has to put in the place of these is not ours to check.
PLACEHOLDER = re.compile(r"\.\.\.|<[a-z]+>")


def commands():
    """(document, command) of every call of helm and kubectl, in blocks and in lines of text."""
    found = []
    for name in DOCUMENTS:
        text = (chart.ROOT / name).read_text().replace("\\\n", " ").replace("\\|", "|")
        blocks = re.findall(r"(?m)^ *((?:helm|kubectl) [^`\n]*)$", text)
        inline = re.findall(r"`((?:helm|kubectl) [^`]+)`", text)
        for each in blocks + inline:
            for part in re.split(r" \| | # |; ", each):
                if part.strip().startswith(("helm ", "kubectl ")):
                    found.append((name, part.strip().removesuffix("; echo")))
    return found


COMMANDS = commands()


def test_they_are_found():
    assert len(COMMANDS) > 60
    assert {name for name, _ in COMMANDS} == set(DOCUMENTS)


@pytest.fixture(scope="session")
def known(renderings):
    """(kind, name) of what the documents' releases make: mcp-tunnel in both modes, and one beside it."""
    case = chart.CASES["external"]
    texts = [renderings["managed"], renderings["external"], chart.run(*case.arguments(), "-release", "beside")]
    return [each for text in texts for each in chart.load(text)]


KINDS = {"deploy": "Deployment", "deployment": "Deployment", "cronjob": "CronJob", "job": "Job"}


def made_by_hand():
    """Names of Jobs that the documents make of the suspended CronJobs."""
    return {match[1] for _, text in COMMANDS if (match := re.search(r"create job --from=\S+ (\S+)", text))}


@pytest.mark.parametrize("text", sorted({text for _, text in COMMANDS if text.startswith("kubectl ")}))
def test_kubectl_commands_name_what_is_there(known, text):
    names = {(each["kind"], each["metadata"]["name"]) for each in known}
    for kind, name in re.findall(r"\b(deploy|deployment|cronjob|job)/([a-z0-9-]+)", text):
        assert (KINDS[kind], name) in names or (kind == "job" and name in made_by_hand())
    if match := re.search(r" -c ([a-z-]+)", text):
        assert match[1] in {container["name"] for _, _, container in chart.containers(known)}
    if match := re.search(r" -l (\S+)", text):
        wanted = dict(pair.split("=") for pair in match[1].split(","))
        kinds = re.search(r"(?:get|delete) ([a-z,]+)", text)[1].split(",")
        for kind in set(kinds) - {"job"}:
            chosen = [each for each in known if each["kind"].lower() == kind]
            assert any(wanted.items() <= each["metadata"]["labels"].items() for each in chosen), kind
        # What would be removed with it must not be the credentials.
        assert "secret" not in kinds
    if match := re.search(r"get secret (\S+) -o jsonpath='\{\.data\.([a-z-]+)\}'", text):
        assert match[1] == "mcp-tunnel" and match[2] in {"tunnel-domain", "tunnel-token"}


@pytest.mark.parametrize("text", sorted({text for _, text in COMMANDS if "create secret generic" in text}))
def test_kubectl_makes_the_secrets_that_the_chart_reads(text, tmp_path):
    if not shutil.which("kubectl"):
        pytest.skip("there is no kubectl")
    for name in ("tls.crt", "tls.key", "data/tls.crt", "data/tls.key"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("PEM")
    arguments = [each for each in shlex.split(text) if not each.startswith("--dry-run")]
    if "-o" not in arguments:
        arguments += ["-o", "yaml"]
    done = subprocess.run([*arguments, "--dry-run=client"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    secret = yaml.safe_load(done.stdout)
    keys = {"mcp-tunnel-token": {"tunnel-token"}, "mcp-tunnel-cert": {"tls.crt", "tls.key"}}
    keys |= {"mcp-tunnel-api-token": {"api-token"}, "mcp-tunnel": set()}
    assert set(secret.get("data") or {}) == keys[secret["metadata"]["name"]]
    assert secret["metadata"]["namespace"] == "mcp-tunnel"


@pytest.mark.parametrize("text", sorted({text for _, text in COMMANDS if text.startswith("helm ")}))
def test_helm_commands_render(text, tmp_path):
    """`helm install`, `upgrade` and `template` with the chart's folder, their release, and the values of a `--set`."""
    words = shlex.split(text)
    positional = [each for each in words[2:] if not each.startswith("-")]
    if words[1] not in ("install", "upgrade", "template") or PLACEHOLDER.search(text) or not positional:
        assert words[1] in ("install", "upgrade", "template", "uninstall", "test", "package", "push", "show")
        return
    assert positional[1] == "deploy/helm/mcp-tunnel"
    values = tmp_path / "values.yaml"
    values.write_text(test_readme.first_snippet())
    arguments = ["-release", positional[0], "-namespace", words[words.index("-n") + 1], "-f", str(values)]
    if "--set" in words:
        setting = words[words.index("--set") + 1]
        assert setting.partition("=")[0] in test_readme.values()
        arguments += ["-set", setting]
    assert chart.load(chart.run(*arguments))


def test_the_pins_of_cloudflared_are_what_the_chart_and_the_documents_name():
    pins = chart.pins()
    default, comment = test_readme.values()["cloudflared.image.digest"]
    assert default == pins["CLOUDFLARED_DIGEST"] and pins["CLOUDFLARED_VERSION"] in comment
    about = yaml.safe_load((chart.CHART / "Chart.yaml").read_text())["annotations"]["artifacthub.io/images"]
    assert yaml.safe_load(about)[0]["image"] == f"cloudflare/cloudflared@{pins['CLOUDFLARED_DIGEST']}"
    for name in ("docs/operating.md", "deploy/helm/mcp-tunnel/README.md"):
        text = (chart.ROOT / name).read_text()
        assert pins["CLOUDFLARED_VERSION"] in text and pins["GUIDE_CLOUDFLARED_VERSION"] in text
    assert all(f"`{name}`" in (chart.ROOT / "docs/operating.md").read_text() for name in pins)
