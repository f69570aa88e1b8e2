"""The environment: everything that was asked for, once for each distinct content, and why something is missing."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from pathlib import Path

import pytest

from sweeper.provenance import completeness, environment, gpu, package, variable
from sweeper.provenance.capture import Capture
from sweeper.provenance.code import Snapshot
from sweeper.provenance.limit import has_failed


def test_every_section_has_an_answer_here() -> None:
    found = environment.capture(None)
    document = found.document
    assert not [name for name, section in document.items() if has_failed(section)]
    assert document["python"]["version"] == platform.python_version()
    assert document["system"]["kernel"] == platform.release()
    assert document["cpu"]["usable"] == len(os.sched_getaffinity(0))
    assert document["memory"]["total_bytes"] > 2**28
    assert document["packages"]["numpy"] == importlib.metadata.version("numpy")
    assert all({"library", "version", "num_threads"} <= set(library) for library in document["blas"])


def test_the_same_environment_has_the_same_name() -> None:
    first, second = environment.capture(None), environment.capture(None)
    assert first.environment == second.environment
    assert environment.Environment.of({**first.document, "x": 1}, ()).environment != first.environment


def test_packages_agree_with_importlib_metadata() -> None:
    theirs: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        theirs.setdefault(package.normalized(distribution.metadata["Name"]), distribution.version)
    assert package.packages() == dict(sorted(theirs.items()))


def install(folder: Path, name: str, version: str, direct: str | None = None) -> None:
    place = folder / f"{name}-{version}.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    if direct is not None:
        (place / "direct_url.json").write_text(direct)


def test_where_packages_came_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vcs = '{"url": "https://ada:hunter22@host/fork.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}'
    install(tmp_path, "My_Fork", "1.0", vcs)
    install(tmp_path, "mine", "0.1", f'{{"url": "file://{tmp_path}/project", "dir_info": {{"editable": true}}}}')
    install(tmp_path, "plain", "2.0")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert package.packages() == {"mine": "0.1", "my-fork": "1.0", "plain": "2.0"}
    assert package.origins(tmp_path) == {
        "mine": {"url": f"file://{tmp_path}/project", "editable": True, "code": "the project's own"},
        "my-fork": {"url": "https://ada:***@host/fork.git", "vcs": "git", "commit": "abc"},
    }
    assert package.origins(None)["mine"]["code"] == "in no repository"  # type: ignore[index]


def test_a_lock_file_and_what_is_installed_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "one", "1.0")
    install(tmp_path, "two", "2.0")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    (tmp_path / "uv.lock").write_text(
        '[[package]]\nname = "one"\nversion = "1.0"\n[[package]]\nname = "two"\nversion = "2.1"\n'
    )
    found = package.locks(tmp_path)
    assert found["uv.lock"]["installed_otherwise"] == {"two": "locked 2.1, installed 2.0"}  # type: ignore[index]


def test_variables_on_the_list_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("HOME_OF_SECRETS", "x")
    monkeypatch.setenv("CUDA_API_KEY", "not to be seen")
    monkeypatch.setenv("NCCL_PROXY", "http://ada:hunter22@proxy:1")
    found = variable.variables()
    assert (found["OMP_NUM_THREADS"], found["CUDA_API_KEY"]) == ("3", "***")
    assert found["NCCL_PROXY"] == "http://ada:***@proxy:1"
    assert not {"HOME_OF_SECRETS", "HOME", "PATH", "PYTHONHASHSEED"} & set(found)


def test_a_machine_without_a_driver_says_so() -> None:
    assert gpu.gpus() == {"none": "no NVIDIA driver on this machine"} or "driver" in gpu.gpus()


def test_what_cannot_be_captured_is_a_gap_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> object:
        raise OSError("no such device")

    monkeypatch.setattr(environment.gpu, "gpus", broken)
    capture = Capture(Snapshot("c" * 64, None, {}, ()))
    facts = capture.at_start({"random": 1, "numpy": 1})
    assert facts.document is not None and facts.document["gpus"] == "failed: OSError: no such device"
    assert [gap for gap in facts.gaps if gap.startswith("gpus")] == ["gpus: OSError: no such device"]
    assert 0.8 < facts.completeness < 1


def test_an_environment_is_said_once_and_a_variable_that_changes_makes_another(monkeypatch: pytest.MonkeyPatch) -> None:
    capture = Capture(Snapshot("c" * 64, None, {}, ()))
    first = capture.at_start({})
    capture.heard(first.environment)
    assert capture.at_end({}).document is None
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    changed = capture.at_end({})
    assert changed.environment != first.environment
    assert changed.document is not None and changed.document["variables"]["OMP_NUM_THREADS"] == "7"


def test_the_share_counts_a_part_once() -> None:
    document = {"gpus": "failed: x", "python": {"a": "failed: y", "b": "failed: z"}, "cpu": {}}
    gaps = completeness.gaps(
        completeness.failures(document), {"seeds": {"torch": "never seeded"}, "hash_seed": 0}, ["big.bin was left out"]
    )
    assert gaps == (
        "code: big.bin was left out",
        "gpus: x",
        "python.a: y",
        "python.b: z",
        "seed: torch was never seeded",
    )
    assert completeness.share(document, gaps) == pytest.approx(1 - 4 / 6)
    assert completeness.share(document, ()) == 1.0
