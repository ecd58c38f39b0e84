"""The image of container/Dockerfile without Docker: ``python -m tests.slow.container``.

Runs the steps of the Dockerfile in directories, with chroot and namespaces: each stage begins with
a Debian made by debootstrap, which has its own Python in place of the image of Python. Then starts
the image's entry point as its user and as PID 1, as a container is started, and checks answers,
health check, removal of adopted processes, and the stop. Nothing of this machine is changed. Before
that it validates container/kubernetes.yaml against the schemas of Kubernetes.

Needs root, debootstrap, a mirror of Debian and a package index.
"""

import http.client
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import attrs

from tests.support.daemon import ROOT, free_port, wait_for

DOCKERFILE = ROOT / "container" / "Dockerfile"
APP = """
import json, os, subprocess

def app(environ, start_response):
    subprocess.run(["sh", "-c", "setsid true & exit 0"])
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"uid": os.getuid(), "workers": os.environ.get("STICKYD_SLOT")}).encode()]
"""
NOT_COPIED = shutil.ignore_patterns(
    *(".git", ".venv", "build", "dist", "node_modules", ".peers", ".results", "*_cache", "*.so"),
    *("__pycache__", "_trial_temp*"),
)

ENTER = """
set -eu
root=$1 user=$2 place=$3
shift 3
mount --make-rprivate /
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
exec chroot --userspec="$user" "$root" /usr/bin/env -i sh -c 'cd "$0" && exec "$@"' "$place" "$@"
"""


@attrs.define
class Stage:
    """One stage of the Dockerfile: a directory, and what its instructions have set."""

    root: Path
    place: str = "/"
    user: str = "0"
    environment: dict[str, str] = attrs.field(factory=dict)
    entry: list[str] = attrs.field(factory=list)
    health: list[str] = attrs.field(factory=list)

    def command(self, *words: str) -> list[str]:
        """A command in the stage, its first process as PID 1."""
        variables = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LANG": "C.UTF-8"}
        variables |= {
            name: value
            for name, value in os.environ.items()
            if name.startswith("PIP_") or name.lower().endswith("_proxy")
        }
        variables |= self.environment
        given = ["env", *(f"{name}={value}" for name, value in variables.items())]
        enter = ["bash", "-c", ENTER, "bash", str(self.root), self.user, self.place]
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child", *enter, *given, *words]

    def run(self, *words: str) -> None:
        done = subprocess.run(self.command(*words), capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{words} failed:\n{done.stdout}{done.stderr}")


def instructions(text: str) -> list[tuple[str, str]]:
    """Name and rest of each instruction; comments are left out, continued lines joined."""
    text = re.sub(r"^#.*\n", "", text, flags=re.M)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [
        (name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines) if name
    ]


def base(place: Path) -> Path:
    """A minimal Debian with Python."""
    root = place / "base"
    packages = "python3,python3-venv,python3-dev"
    subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={packages}", "bookworm", str(root)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    for name in ("etc/resolv.conf", "etc/pip.conf", "etc/ssl/certs/ca-certificates.crt"):
        source = Path("/") / name
        if source.exists():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, root / name)
    return root


def build(place: Path) -> Stage:
    """Run all instructions; the last stage."""
    origin = base(place)
    stages: dict[str, Stage] = {}
    stage = Stage(origin)
    for number, (name, rest) in enumerate(instructions(DOCKERFILE.read_text())):
        print(f"{name} {rest[:90]}", flush=True)
        if name == "FROM":
            root = place / f"stage{number}"
            subprocess.run(["cp", "-a", str(origin), str(root)], check=True)
            stage = Stage(root)
            stages[rest.partition(" AS ")[2]] = stage
        elif name == "RUN":
            stage.run("sh", "-c", rest)
        elif name == "COPY":
            source, target = rest.split()[-2:]
            if match := re.match(r"--from=(\w+) ", rest):
                there = stages[match[1]].root / source.lstrip("/")
                subprocess.run(
                    ["cp", "-a", str(there), str(stage.root / target.lstrip("/"))], check=True
                )
            else:
                shutil.copytree(ROOT / source, stage.root / target.lstrip("/"), ignore=NOT_COPIED)
        elif name == "ENV":
            for pair in shlex.split(rest):
                variable, _, value = pair.partition("=")
                stage.environment[variable] = value.replace(
                    "$PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
                )
        elif name == "WORKDIR":
            stage.place = rest
            (stage.root / rest.lstrip("/")).mkdir(exist_ok=True)
        elif name == "USER":
            stage.user = f"{rest}:{rest}"
        elif name == "ENTRYPOINT":
            stage.entry = json.loads(rest)
        elif name == "HEALTHCHECK":
            stage.health = json.loads(rest.partition(" CMD ")[2])
        elif name not in ("ARG", "EXPOSE", "STOPSIGNAL"):
            raise SystemExit(f"{name}: an instruction that this program does not know")
    return stage


def validate() -> None:
    """The manifests against the schemas of the API, and against what they say of each other."""
    import kubernetes_validate
    import yaml

    documents = list(yaml.safe_load_all((ROOT / "container" / "kubernetes.yaml").read_text()))
    for document in documents:
        version = kubernetes_validate.latest_version()
        kubernetes_validate.validate(document, version, strict=True)
        print(f"{document['kind']}: valid in Kubernetes {version}")
    deployment, service, budget = documents
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"] == labels
    assert budget["spec"]["selector"]["matchLabels"] == labels
    assert deployment["spec"]["selector"]["matchLabels"] == labels


def first_child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def check(image: Stage) -> None:
    """Start a container, and look at it from outside."""
    (image.root / "app" / "main.py").write_text(APP)
    port, admin = free_port(), free_port()
    image.environment |= {
        "STICKYD_BIND": f"127.0.0.1:{port}",
        "STICKYD_ADMIN": f"127.0.0.1:{admin}",
        "STICKYD_WORKERS": "2",
    }
    with open(image.root.parent / "log", "w+") as log:
        container = subprocess.Popen(
            image.command(*image.entry, "main:app"), stdout=log, stderr=subprocess.STDOUT
        )

        def answer(path: str, at: int = port) -> tuple[int, bytes]:
            connection = http.client.HTTPConnection("127.0.0.1", at, timeout=10)
            try:
                connection.request("GET", path)
                got = connection.getresponse()
                return got.status, got.read()
            except OSError:
                return 0, b""
            finally:
                connection.close()

        try:
            wait_for(lambda: answer("/readyz", admin)[0] == 200, 60, "readiness")
            status, body = answer("/")
            told = json.loads(body)
            assert (status, told["uid"]) == (200, int(image.user.partition(":")[0])), told
            # It finds the daemon by STICKYD_ADMIN.
            image.run(*image.health)
            print("healthy")
            master = first_child(container.pid)
            children = Path(f"/proc/{master}/task/{master}/children")
            wait_for(lambda: len(children.read_text().split()) == 2, 10, "removal of the adopted")
            print("no zombies")
            os.kill(master, signal.SIGTERM)
            assert container.wait(40) == 0, container.returncode
            unhealthy = subprocess.run(image.command(*image.health), capture_output=True)
            assert unhealthy.returncode == 2, unhealthy
            print("stopped")
        except BaseException:
            container.kill()
            log.seek(0)
            print(log.read())
            raise


def main() -> int:
    """Build and check; 0 if all is as it should be."""
    if os.geteuid() or shutil.which("debootstrap") is None:
        print("not run: needs root and debootstrap")
        return 0
    validate()
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="stickyd-image.") as place:
        check(build(Path(place)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
