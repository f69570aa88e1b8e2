"""What a fork looks at stays shared where Python knows immortal objects; where it does not, all is as it was."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sweeper.run import immortal

CAN = sys.version_info >= (3, 12)
_MADE = f"""
import gc, os, resource, runpy, sys
immortalize = runpy.run_path({immortal.__file__!r})["immortalize"]

def told(number):
    return [number, (number, "told")], 1234.5

class Kept:
    def __init__(self): self.value = object()

kept = [Kept() for _ in range(100_000)]
"""


def told(code: str) -> list[int]:
    return [int(word) for word in subprocess.check_output([sys.executable, "-c", _MADE + code], text=True).split()]


@pytest.mark.parametrize(
    "made", ["kept", "kept[5]", "kept[5].value", "Kept", "told", "told.__code__", "told.__code__.co_consts[-1]"]
)
def test_what_was_made_before_is_counted_no_more_and_what_is_made_after_is(made: str) -> None:
    before, after = told(
        f"immortalize(); new = object()\n"
        f"counts = [sys.getrefcount({made}), sys.getrefcount(new)]\n"
        f"more = [({made}, new) for _ in range(50)]\n"
        f"print(sys.getrefcount({made}) - counts[0], sys.getrefcount(new) - counts[1])"
    )
    assert (before, after) == (0 if CAN else 50, 50)


def test_a_fork_that_looks_at_everything_copies_hardly_any_page() -> None:
    looked, left = told(
        "immortalize(); gc.freeze(); out, back = os.pipe()\n"
        "if os.fork() == 0:\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    for one in kept: one.value\n"
        "    os.write(back, str(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before).encode()); os._exit(0)\n"
        "os.wait(); print(os.read(out, 20).decode(), sys.getsizeof(kept[0]) * len(kept) // 4096)"
    )
    assert looked < 0.1 * left if CAN else looked > left


def test_what_was_set_aside_before_is_left_alone() -> None:
    (more,) = told(
        "gc.freeze(); immortalize(); one = kept[7]; count = sys.getrefcount(one)\n"
        "more = [one] * 50; print(sys.getrefcount(one) - count)"
    )
    assert more == 50


def test_all_goes_on_as_before() -> None:
    found = told(
        "immortalize(); immortalize()\n"
        "kept.append(Kept()); del kept[:99_990]; kept[0].value = 6; told.__code__ = told.__code__.replace()\n"
        "gc.unfreeze(); gc.collect()\n"
        "print(len(kept), kept[0].value * 7, told(3)[0][0], int(isinstance(kept[-1], Kept)))"
    )
    assert found == [11, 42, 3, 1]
