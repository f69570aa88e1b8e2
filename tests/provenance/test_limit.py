"""Questions under a time limit."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

from sweeper.provenance.limit import ask, has_failed


def test_answers_come_by_name_and_a_failure_says_why() -> None:
    def fails() -> object:
        raise OSError("the disk\nis gone")

    assert ask({"one": lambda: {"a": 1}, "two": fails, "three": lambda: None}, 5.0) == {
        "one": {"a": 1},
        "two": "failed: OSError: the disk is gone",
        "three": None,
    }


def test_what_hangs_is_given_up_and_what_was_answered_before_is_kept() -> None:
    def hangs() -> object:
        signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
        threading.Event().wait()

    answers = ask({"before": lambda: 1, "hangs": hangs, "after": lambda: 2}, 0.3)
    assert answers["before"] == 1
    assert answers["hangs"] == answers["after"] == "failed: no answer within 0.3 s"
    assert has_failed(answers["hangs"]) and not has_failed(answers["before"])


def test_a_question_that_kills_its_process_costs_the_answers_after_it_alone() -> None:
    answers = ask({"before": lambda: 1, "dies": lambda: os.kill(os.getpid(), signal.SIGKILL), "after": lambda: 2}, 5.0)
    assert answers["before"] == 1
    assert has_failed(answers["dies"]) and has_failed(answers["after"])


def test_an_answer_of_megabytes_is_whole() -> None:
    assert ask({"long": lambda: "x" * 3_000_000}, 10.0) == {"long": "x" * 3_000_000}


def test_no_process_is_left() -> None:
    children = Path(f"/proc/self/task/{threading.get_native_id()}/children")
    before = children.read_text()
    ask({"one": lambda: 1}, 5.0)
    assert children.read_text() == before
