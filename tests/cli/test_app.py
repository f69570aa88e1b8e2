from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import pytest

from tests.cli.conftest import Sweeper

_LOADED = """
import sys
from sweeper.cli import main
sys.argv = ["sweeper", "--help"]
try:
    main()
finally:
    heavy = {"ray", "torch", "sklearn", "matplotlib", "sqlalchemy", "optuna", "numpy", "hydra", "omegaconf"}
    print(sorted(heavy & sys.modules.keys()))
"""


def test_help_loads_no_heavy_library_and_lists_every_verb() -> None:
    found = subprocess.run([sys.executable, "-c", _LOADED], capture_output=True, text=True, check=True)
    *page, loaded = found.stdout.splitlines()
    assert loaded == "[]"
    verbs = [line.split()[0] for line in page[page.index("Commands:") + 1 :]]
    driving = ["launch", "plan", "attach", "logs", "resume", "stop", "pause", "extend", "scale", "enqueue", "kill"]
    looking = ["ls", "show", "best", "importance", "report", "compare", "search", "gpus", "queue", "ui"]
    keeping = ["tag", "note", "artifacts", "get", "verify", "gc", "export", "bundle"]
    assert verbs == [*driving, *looking, *keeping, "reproduce", "audit", "db"]


def test_version(sweeper: Sweeper) -> None:
    found = sweeper("--version")
    assert (found.status, found.out) == (0, f"sweeper {importlib.metadata.version('sweeper')}\n")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["ls"], 3, "does not exist: start a sweep, or name another database with --storage URL"),
        (["ls", "--storage", "redis://x"], 3, "reads SQLite and PostgreSQL, not redis"),
        (["best", "digits", "--storage", "{url}", "--json", "--csv"], 2, "--json and --csv exclude each other"),
        (["best", "digit", "--storage", "{url}"], 2, "did you mean 'digits'"),
        (["show", "digits/99", "--storage", "{url}"], 2, "there is no trial 99 in 'digits': its trials are 0 to 9"),
        (["show", "digits/x", "--storage", "{url}"], 2, "write STUDY/NUMBER"),
        (["show", "a\x1b[2J\nb", "--storage", "{url}"], 2, r"no study 'a\x1b[2J\nb'"),
        (["importance", "digits", "--metric", "acc", "--storage", "{url}"], 2, "it has loss, val/accuracy"),
    ],
)
def test_errors_are_one_line_and_a_status(
    sweeper: Sweeper, digits_url: str, arguments: list[str], status: int, message: str
) -> None:
    found = sweeper(*(argument.replace("{url}", digits_url) for argument in arguments))
    assert (found.status, found.out) == (status, "")
    assert found.err.startswith("sweeper: ") and found.err.count("\n") == 1
    assert message in found.err


def test_the_database_comes_from_the_option_then_the_environment_then_this_folder(
    sweeper: Sweeper, digits_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWEEPER_STORAGE", digits_url)
    assert [study["name"] for study in sweeper("ls", "--json").json] == ["digits"]
    assert "/elsewhere.db does not exist" in sweeper("ls", "--storage", "sqlite:///elsewhere.db").err
    monkeypatch.delenv("SWEEPER_STORAGE")
    assert "/sweeper.db does not exist" in sweeper("ls").err
