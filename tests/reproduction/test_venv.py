"""What is installed into the environment of a repeated run."""

from __future__ import annotations

from sweeper.reproduction.venv import requirements


def test_exact_versions_commits_and_this_sweeper() -> None:
    document = {
        "packages": {"numpy": "2.1.0", "mine": "0.1", "fork": "1.0", "local": "3.0", "pip": "24.0", "sweeper": "0.0.1"},
        "origins": {
            "mine": {"url": "file:///gone", "editable": True, "code": "the project's own"},
            "fork": {"url": "https://host/fork", "vcs": "git", "commit": "a" * 40},
            "local": {"url": "file:///elsewhere", "editable": True, "code": {"commit": "b" * 40}},
        },
    }
    assert list(requirements(document, "sweeper @ file:///here")) == [
        "numpy==2.1.0",
        f"fork @ git+https://host/fork@{'a' * 40}",
        "local==3.0",
        "sweeper @ file:///here",
    ]


def test_origins_that_could_not_be_captured_hide_no_package() -> None:
    document = {"packages": {"numpy": "2.1.0"}, "origins": "failed: no answer within 10 s"}
    assert list(requirements(document, "")) == ["numpy==2.1.0"]
