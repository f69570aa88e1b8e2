"""No secret that is planted anywhere reaches a table, a file or a page of a real sweep."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import string
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.provenance.repository import Repository

pytestmark = pytest.mark.slow

TRAIN = """
import logging, os, subprocess, sys
import hydra
import sweeper

@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(cfg):
    found = [os.environ["SERVICE_API_KEY"], cfg.db.password, cfg.db.url, cfg.service.token, *cfg.auth.credentials]
    sweeper.log({"loss": cfg.x}, step=0)
    print("printed", *found)
    print("printed", *found, file=sys.stderr)
    logging.getLogger("app").warning("logged %s", found)
    if os.environ["LAUNCHER"] == "ray":  # inline it would speak to the terminal, past everybody
        subprocess.run(["sh", "-c", "echo said by a child: $SERVICE_API_KEY"])
    if cfg.x > 0.5:
        raise RuntimeError(f"raised {found}")
    return cfg.x

if __name__ == "__main__":
    main()
"""

VERBS = """
import sys
from contextlib import suppress
from sweeper.cli import main
for words in ("show train", "show train/0", "show train/2", "show train/3 --json", "ls"):
    sys.argv = ["sweeper", *words.split()]
    with suppress(SystemExit):
        main()
"""

plain = st.text(string.ascii_letters + string.digits + "-_~", min_size=10, max_size=20).map(lambda text: f"a{text}1")
wild = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="$\\"), min_size=10, max_size=20)


@dataclass(frozen=True)
class Planted:
    environment: str
    password: str
    dsn: str
    token: str
    credential: str
    remote: str

    def all(self) -> tuple[str, ...]:
        return (self.environment, self.password, self.dsn, self.token, self.credential, self.remote)


planted = st.builds(Planted, plain, wild, plain, plain, wild, plain).filter(lambda found: len(set(found.all())) == 6)


class Site:
    """A checkout with secrets in it, a database, a store."""

    def __init__(self, folder: Path, secrets: Planted) -> None:
        self.folder = folder
        self.secrets = secrets
        self.said = ""
        self.environment = os.environ | {
            "SERVICE_API_KEY": secrets.environment,
            "SWEEPER_STORAGE": f"sqlite:///{folder}/kept/sweeper.db",
            "SWEEPER_ARTIFACTS": f"{folder}/kept/artifacts",
        }
        (folder / "kept").mkdir()
        repository = Repository(folder / "checkout")
        repository.git("remote", "add", "origin", f"https://ada:{secrets.remote}@host/code.git")
        repository.write("train.py", TRAIN)
        dsn = f"postgresql://ada:{secrets.dsn}@host/db"
        config = {"x": 0.1, "db": {"password": secrets.password, "url": dsn}, "service": {"token": None}}
        repository.write("conf/config.yaml", json.dumps(config | {"auth": {"credentials": [secrets.credential]}}))
        repository.commit()
        repository.write("train.py", TRAIN + f"\n# {secrets.environment}\n")
        repository.write("notes.py", f"A = {secrets.password!r}\n")

    def run(self, *command: str) -> None:
        done = subprocess.run(
            command, cwd=self.folder / "checkout", env=self.environment, capture_output=True, text=True, check=False
        )
        self.said += done.stdout + done.stderr

    def everything(self) -> bytes:
        """All that the sweep has written and said; what the user had written is not among it."""
        files = [path.read_bytes() for path in (self.folder / "kept").rglob("*") if path.is_file()]
        with sqlite3.connect(self.folder / "kept" / "sweeper.db") as connection:
            dump = "\n".join(connection.iterdump())
        connection.close()
        return b"\n".join([*files, dump.encode(), self.said.encode()])


@settings(
    max_examples=2,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(planted)
@pytest.mark.parametrize("launcher", ["inline", "ray"])
def test_no_secret_reaches_a_table_a_file_or_a_page(tmp_path: Path, launcher: str, secrets: Planted) -> None:
    shutil.rmtree(tmp_path, ignore_errors=True)
    tmp_path.mkdir()
    site = Site(tmp_path, secrets)
    site.environment["LAUNCHER"] = launcher
    flags = ["-m", "hydra/sweeper=sweeper", f"hydra.sweeper.launcher={launcher}", "hydra.sweeper.n_trials=4"]
    flags += ["hydra/sweeper/sampler=grid", f"hydra.sweep.dir={tmp_path}/kept/sweep", "hydra.sweeper.n_jobs=1"]
    site.run(sys.executable, "train.py", *flags, "x=0.1,0.2,0.8,0.9", f"service.token='{secrets.token}'")
    site.run(sys.executable, "-c", VERBS)

    found = site.everything()

    assert b"printed ***" in found and b"raised ['***'" in found and b"logged ['***'" in found
    assert (b"said by a child: ****" in found) == (launcher == "ray")
    assert b"https://host/code.git" in found
    for secret in secrets.all():
        assert secret.encode() not in found
        assert json.dumps(secret)[1:-1].encode() not in found
