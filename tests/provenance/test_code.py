"""A snapshot keeps the code whole, and what is rebuilt from it is the same, file by file."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweeper.errors import ProvenanceError
from sweeper.provenance import secret
from sweeper.provenance.code import Code, Wanted, blobs, take
from sweeper.provenance.leftover import Limits
from sweeper.provenance.rebuild import rebuild
from sweeper.provenance.store import FolderStore, open_store
from tests.provenance.repository import Repository, contents


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    repository = Repository(tmp_path / "code")
    repository.write("train.py", "import lib\n")
    repository.write("lib.py", "x = 1\n")
    repository.write("weights.bin", bytes(range(256)))
    repository.write(".gitignore", "ignored/\n__pycache__/\n")
    repository.commit()
    return repository


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "artifacts")


def snapshot(repository: Repository, store: FolderStore, **changes: object) -> Code:
    return take(Wanted(repository.root / "train.py", **changes), store)  # type: ignore[arg-type]


def rebuilt(code: Code, store: FolderStore, folder: Path) -> dict[str, bytes]:
    rebuild(code.document, store, folder)
    return contents(folder)


def test_a_clean_commit(repository: Repository, store: FolderStore, tmp_path: Path) -> None:
    repository.git("remote", "add", "origin", "https://ada:hunter2hunter2@host/code.git")
    code = snapshot(repository, store)
    document = code.document
    assert (document["commit"], document["branch"]) == (repository.git("rev-parse", "HEAD").strip(), "main")
    assert (document["remote"], document["entry"]) == ("https://host/code.git", "train.py")
    assert (code.is_dirty, code.is_whole, document["diff"], document["files"]) == (False, True, None, [])
    assert rebuilt(code, store, tmp_path / "again") == repository.files()


def test_everything_that_no_commit_has(repository: Repository, store: FolderStore, tmp_path: Path) -> None:
    repository.write("lib.py", "x = 2\n")
    repository.write("weights.bin", bytes(reversed(range(256))))
    repository.write("staged.py", "y = 1\n")
    repository.git("add", "staged.py")
    (repository.root / ".gitignore").unlink()
    repository.write("new/näme with space.py", "z = 1\n")
    tool = repository.write("run.sh", "#!/bin/sh\n")
    tool.chmod(0o755)
    code = snapshot(repository, store)
    assert code.is_dirty and code.is_whole
    assert [file["path"] for file in code.document["files"]] == ["new/näme with space.py", "run.sh"]
    assert rebuilt(code, store, tmp_path / "again") == repository.files()
    assert (tmp_path / "again" / "run.sh").stat().st_mode & 0o777 == 0o755


def test_the_same_state_has_the_same_name_and_another_state_another(repository: Repository, store: FolderStore) -> None:
    first = snapshot(repository, store)
    repository.git("checkout", "-q", "-b", "elsewhere")
    assert snapshot(repository, store).snapshot.code == first.snapshot.code
    repository.write("lib.py", "x = 2\n")
    changed = snapshot(repository, store)
    repository.write("lib.py", "x = 1\n")
    assert changed.snapshot.code != first.snapshot.code == snapshot(repository, store).snapshot.code


def test_submodules_with_changes_of_their_own(repository: Repository, store: FolderStore, tmp_path: Path) -> None:
    inner = Repository(tmp_path / "inner")
    inner.write("inner.py", "a = 1\n")
    commit = inner.commit()
    repository.git("submodule", "add", "-q", str(inner.root), "parts/inner")
    repository.commit()
    clean = snapshot(repository, store)
    assert (clean.document["submodules"]["parts/inner"]["commit"], clean.is_dirty) == (commit, False)
    repository.write("parts/inner/inner.py", "a = 2\n")
    repository.write("parts/inner/more.py", "b = 1\n")
    code = snapshot(repository, store)
    assert code.is_dirty
    assert rebuilt(code, store, tmp_path / "again") == repository.files()
    assert blobs(clean.document) < blobs(code.document)


def test_what_is_left_out_is_named(repository: Repository, store: FolderStore, tmp_path: Path) -> None:
    repository.write("big.bin", bytes(20_000))
    repository.write(".env", "A=1\n")
    sqlite3.connect(repository.root / "data.db").execute("CREATE TABLE t (x)").connection.close()
    repository.write("small.py", "a = 1\n")
    code = snapshot(repository, store, limits=Limits(file_bytes=10_000))
    assert code.document["left_out"] == [
        {"path": ".env", "why": "by its name it holds secrets"},
        {"path": "big.bin", "why": "it has 20,000 bytes, more than 10,000"},
        {"path": "data.db", "why": "it is an SQLite database"},
    ]
    assert not code.is_whole and len(code.snapshot.gaps) == 3
    assert [file["path"] for file in code.document["files"]] == ["small.py"]


def test_a_tree_beyond_the_limit_is_left_to_the_remote(
    repository: Repository, store: FolderStore, tmp_path: Path
) -> None:
    code = snapshot(repository, store, limits=Limits(tree_bytes=100))
    assert code.document["tree"] is None and not code.is_whole
    with pytest.raises(ProvenanceError, match="too large to keep and has no remote"):
        rebuild(code.document, store, tmp_path / "none")
    repository.git("remote", "add", "origin", str(repository.root))
    repository.write("lib.py", "x = 3\n")
    code = snapshot(repository, store, limits=Limits(tree_bytes=100))
    assert rebuilt(code, store, tmp_path / "again") == repository.files()


def test_what_sweeps_write_is_no_code(repository: Repository, store: FolderStore) -> None:
    before = snapshot(repository, store)
    repository.write("multirun/2026/0/.hydra/config.yaml", "")
    repository.write("multirun/2026/0/model.pkl", b"model")
    repository.write("multirun/2026/multirun.yaml", "")
    repository.write("multirun/2026/notes.txt", "")
    repository.write("artifacts/sha256/aa/aa", b"")
    repository.write("sweeper.db", b"")
    outputs = [repository.root / "artifacts", repository.root / "sweeper.db"]
    after = snapshot(repository, store, outputs=outputs)
    assert after.snapshot.code == before.snapshot.code and after.is_whole


def test_what_a_reproduction_rebuilt_is_code_to_a_script_in_it_alone(
    repository: Repository, store: FolderStore
) -> None:
    before = snapshot(repository, store)
    for path in (
        "one/.sweeper/mark",
        "one/code/train.py",
        "one/code/lib.py",
        "one/run/log",
        "two/.sweeper/mark",
        "two/code/lib.py",
    ):
        repository.write(f"reproduced/{path}", "")
    assert snapshot(repository, store).snapshot.code == before.snapshot.code
    again = take(Wanted(repository.root / "reproduced/one/code/train.py"), store)
    assert {file["path"] for file in again.document["files"]} >= {
        "reproduced/one/code/train.py",
        "reproduced/one/code/lib.py",
    }
    assert not any(file["path"].startswith("reproduced/two") for file in again.document["files"])


def test_a_script_outside_any_repository(store: FolderStore, tmp_path: Path) -> None:
    folder = tmp_path / "loose"
    for path in ("train.py", "lib/part.py", "conf/config.yaml", "venv/pyvenv.cfg", "venv/lib.py", "notes.bin"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)
    code = take(Wanted(folder / "train.py"), store)
    assert (code.document["kind"], code.document["commit"], code.is_whole) == ("folder", None, True)
    assert set(rebuilt(code, store, tmp_path / "again")) == {"train.py", "lib/part.py", "conf/config.yaml"}


def test_a_repository_without_a_commit_is_kept_as_a_folder(store: FolderStore, tmp_path: Path) -> None:
    repository = Repository(tmp_path / "fresh")
    repository.write("train.py", "a = 1\n")
    code = snapshot(repository, store)
    assert (code.document["kind"], code.document["entry"]) == ("folder", "train.py")
    assert rebuilt(code, store, tmp_path / "again") == repository.files()


def test_a_broken_repository_is_a_gap_and_no_failure(store: FolderStore, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / ".git").write_text("gitdir: /nowhere\n")
    (folder / "train.py").write_text("a = 1\n")
    code = take(Wanted(folder / "train.py"), store)
    assert code.document["kind"] == "folder"
    assert (
        "its repository cannot be read (git rev-parse: fatal: not a git repository: /nowhere)" in code.snapshot.gaps[0]
    )


def test_a_known_secret_is_masked_in_tree_diff_and_files(
    repository: Repository, store: FolderStore, tmp_path: Path
) -> None:
    secret.learn({"password": "swordfish-of-the-deep"})
    repository.write("conf.py", "p = 'swordfish-of-the-deep'\n")
    repository.commit()
    repository.write("lib.py", "q = 'swordfish-of-the-deep'\n")
    repository.write("new.py", "r = 'swordfish-of-the-deep'\n")
    code = snapshot(repository, store)
    assert code.document["masked"] == [".", "the diff", "new.py"]
    assert rebuilt(code, store, tmp_path / "again")["lib.py"] == b"q = '" + b"*" * 21 + b"'\n"
    kept = b"".join(path.read_bytes() for path in store.root.rglob("*") if path.is_file())
    assert b"swordfish" not in kept


def test_a_record_that_points_outside_its_folder_writes_nothing(
    repository: Repository, store: FolderStore, tmp_path: Path
) -> None:
    repository.write("new.py", "a = 1\n")
    code = snapshot(repository, store)
    evil = {**code.document, "files": [{**code.document["files"][0], "path": "../../evil.py"}]}
    with pytest.raises(ProvenanceError, match="lies outside its folder"):
        rebuild(evil, store, tmp_path / "again")
    with pytest.raises(ProvenanceError, match="is not empty"):
        rebuild(code.document, store, repository.root)


NAMES = st.text("abñ .-_'\"", min_size=1, max_size=6).filter(lambda name: name.strip(". ") and name[0] not in "-~")
TREES = st.dictionaries(NAMES, st.binary(max_size=12), max_size=4)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(committed=TREES, changed=TREES, added=TREES)
def test_any_tree_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
    committed: dict[str, bytes],
    changed: dict[str, bytes],
    added: dict[str, bytes],
) -> None:
    folder = tmp_path_factory.mktemp("tree")
    repository = Repository(folder / "code")
    repository.write("train.py", "")
    for name, content in committed.items():
        repository.write(f"kept/{name}", content)
    repository.commit()
    for name, content in (changed | added).items():
        repository.write(f"kept/{name}", content)
    store = open_store(str(folder / "artifacts"))
    code = take(Wanted(repository.root / "train.py"), store)
    rebuild(code.document, store, folder / "again")
    assert contents(folder / "again") == repository.files()
