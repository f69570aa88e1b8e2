"""A fresh environment with the recorded packages, by uv where it is installed, else by venv and pip."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sweeper.errors import ProvenanceError
from sweeper.provenance.package import OWN, normalized
from sweeper.reproduction.prepare import Recorded


def build(recorded: Recorded, folder: Path) -> str:
    """Make the environment in a new `folder`; returns its interpreter. Raises ProvenanceError where it cannot be."""
    if recorded.environment is None:
        raise ProvenanceError("the environment of this run is not on record: leave --venv out")
    document = recorded.environment.document
    folder.parent.mkdir(parents=True, exist_ok=True)
    wanted = folder.parent / "requirements.txt"
    wanted.write_text("\n".join(requirements(document, sweeper_source())) + "\n", encoding="utf-8")
    python = interpreter(str(document["python"]["version"]))
    target = str(folder.absolute() / "bin" / "python")
    if uv := shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent)):
        _run([uv, "venv", "--quiet", "--python", python, str(folder)])
        _run([uv, "pip", "install", "--quiet", "--no-deps", "--python", target, "-r", str(wanted)])
    else:
        _run([python, "-m", "venv", "--without-pip", str(folder)])
        pip = [sys.executable, "-m", "pip", "--python", target, "--disable-pip-version-check"]
        _run([*pip, "install", "--quiet", "--no-deps", "-r", str(wanted)])
    return target


def requirements(document: Mapping[str, Any], sweeper: str) -> Iterator[str]:
    """What pip is to install: exact versions, VCS commits; `sweeper` is how this very release is to be had.

    What was installed from the project itself comes with its code; from another folder of a machine that may be gone,
    the version of the same name is taken.
    """
    for name, version in document["packages"].items():
        origin = document["origins"].get(name, {}) if isinstance(document["origins"], Mapping) else {}
        if name == "sweeper":
            yield sweeper
        elif origin.get("code") == OWN:
            continue
        elif origin.get("vcs"):
            yield f"{name} @ {origin['vcs']}+{origin['url']}@{origin['commit']}"
        elif str(origin.get("url", "")).startswith("http"):
            yield f"{name} @ {origin['url']}"
        else:
            yield f"{name}=={version}"


def sweeper_source() -> str:
    """This sweeper, for an environment that is to have the same one: its folder, in the same way, else its release."""
    distribution = importlib.metadata.distribution("sweeper")
    direct = json.loads(distribution.read_text("direct_url.json") or "{}")
    url = urllib.parse.urlsplit(str(direct.get("url", "")))
    if url.scheme == "file" and Path(urllib.parse.unquote(url.path)).exists():
        is_editable = direct.get("dir_info", {}).get("editable")
        return f"-e {urllib.parse.unquote(url.path)}" if is_editable else f"{normalized('sweeper')} @ {direct['url']}"
    return f"sweeper=={distribution.version}"


def interpreter(version: str) -> str:
    """A Python of the recorded minor version. Raises ProvenanceError where there is none on this machine."""
    minor = re.match(r"\d+\.\d+", version)
    if minor is None or f"{sys.version_info.major}.{sys.version_info.minor}" == minor[0]:
        return sys.executable
    found = shutil.which(f"python{minor[0]}")
    if found is None:
        raise ProvenanceError(f"the run used Python {version}, and there is no python{minor[0]} on this machine")
    return found


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise ProvenanceError(f"the environment cannot be built: {words[-1] if words else 'no reason was given'}")
