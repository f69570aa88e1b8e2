"""The code of two runs beside each other, from what the store has of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest

from sweeper.archive.patch import code_patches
from sweeper.compare import compare
from sweeper.errors import NotFound
from sweeper.history import History
from sweeper.provenance.code import Wanted, take
from sweeper.provenance.store import FolderStore
from sweeper.record import Record, Storage
from sweeper.source import code_row
from tests.cli.conftest import Sweeper, sweeper
from tests.provenance.repository import Repository
from tests.record.samples import make_spec, make_sweep

__all__ = ["sweeper"]

DIFF = ["--- a/train.py", "+++ b/train.py", "@@ -1,2 +1,2 @@", " import helper", "-lr = 1", "+lr = 2"]


@pytest.fixture
def url(sqlite_url: str, tmp_path: Path) -> Iterator[str]:
    """Three runs: of a commit, of a change to it with another file and a binary one, and one without code."""
    project, store = Repository(tmp_path / "project"), FolderStore(tmp_path / "artifacts")
    storage = Storage(sqlite_url)
    study = optuna.create_study(study_name="digits", storage=storage)
    record = Record(storage)
    record.sweep_opened(make_sweep(artifacts=store.url)).result()
    for number, change in enumerate((_commit, _change)):
        change(project)
        code = take(Wanted(project.root / "train.py"), store)
        record.code_taken(code_row(code))
        study.ask()
        spec = make_spec(number=number, run=str(number) * 32, code=code.snapshot.code)
        record.run_opened("s" * 32, spec).result()
    study.ask()
    record.run_opened("s" * 32, make_spec(number=2, run="2" * 32)).result()
    yield sqlite_url
    storage.close()


def _commit(project: Repository) -> None:
    project.write("train.py", "import helper\nlr = 1\n")
    project.write("logo.png", b"\x89PNG\0")
    project.commit()


def _change(project: Repository) -> None:
    project.write("train.py", "import helper\nlr = 2\n")
    project.write("helper.py", "# \x1b[2Jnew\n")
    project.write("logo.png", b"\x89PNG\0\0")


def test_changed_new_and_binary_files_are_told(url: str) -> None:
    (patch,) = code_patches(compare(History(url), ["digits/0", "digits/1"]), None)
    assert (patch.old, patch.new) == ("digits/0", "digits/1")
    told = [line for line in patch.lines if not line.startswith(("diff ", "index "))]
    assert told == [
        *("new file mode 100644", "--- /dev/null", "+++ b/helper.py", "@@ -0,0 +1 @@", "+# \x1b[2Jnew"),
        "Binary files a/logo.png and b/logo.png differ",
        *DIFF,
    ]


def test_the_same_code_has_no_diff_and_code_off_the_record_none_to_show(url: str) -> None:
    (patch,) = code_patches(compare(History(url), ["digits/0", "digits/0"]), None)
    assert patch.lines == ()
    with pytest.raises(NotFound, match="the code of digits/2 is not on record"):
        code_patches(compare(History(url), ["digits/0", "digits/2"]), None)


def test_the_command_shows_it_when_asked_and_says_how_to_ask(url: str, sweeper: Sweeper) -> None:
    asked = ("compare", "digits/0", "digits/1", "--storage", url)
    assert "sweeper compare digits/0 digits/1 --diff" in sweeper(*asked).out
    found = sweeper(*asked, "--diff")
    assert "\n".join(DIFF) in found.out and "\x1b[2J" not in found.out
    (patch,) = sweeper(*asked, "--diff", "--json").json["code_diffs"]
    assert set(DIFF) < set(patch["lines"])
