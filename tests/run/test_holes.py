"""Holes in memory are filled: what is made after that lies side by side."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

_TOLD = """
import mmap, random
from sweeper.run import holes

malloc, free = holes._LIBC.malloc, holes._LIBC.free

def scattered(make, drop):
    random.seed(0)
    made = [make() for _ in range(40_000)]
    random.shuffle(made)
    while len(made) > 38_000:
        drop(made.pop())
    return made

def pages(places):
    return len({place // mmap.PAGESIZE for place in places})
"""
OF_OBJECTS = (
    "left = scattered(lambda: bytes(random.randrange(100, 400)), lambda _: None)\n",
    "made = [bytes(250) for _ in range(300)]; print(pages(map(id, made)))",
)
OF_ARENAS = (
    "left = [bytes(400) for _ in range(80_000)]\n"
    "for start in range(0, 80_000, 4_000): left[start:start + 100] = [0] * 100\n",
    "made = [bytes(250) for _ in range(600)]; print(len({id(each) >> 20 for each in made}))",
)
OF_MALLOC = (
    "left = scattered(lambda: malloc(random.randrange(600, 6000)), free)\n",
    "print(pages(malloc(1000) for _ in range(300)))",
)


def told(code: str, **environment: str) -> int:
    command = [sys.executable, "-c", _TOLD + code]
    return int(subprocess.check_output(command, text=True, env=os.environ | environment))


@pytest.mark.parametrize("of", [OF_OBJECTS, OF_ARENAS, OF_MALLOC], ids=["objects", "arenas", "malloc"])
def test_what_is_made_after_that_lies_side_by_side(of: tuple[str, str]) -> None:
    before, after = told(of[0] + of[1]), told(f"{of[0]}holes.fill()\n{of[1]}")
    assert after <= 0.5 * before


def test_of_malloc_no_more_is_kept_than_there_were_holes() -> None:
    growth = (
        "own = lambda: int(open('/proc/self/statm').read().split()[1]) * mmap.PAGESIZE >> 20\n"
        f"{OF_MALLOC[0]}before = own()\nfor _ in range(20): holes.fill()\nprint(own() - before)"
    )
    assert told(growth) < 8


def test_it_takes_next_to_nothing_where_there_are_no_holes() -> None:
    assert told("holes.fill(); before = len(holes._filling); holes.fill(); print(len(holes._filling) - before)") < 1_000


def test_nothing_is_kept_and_nothing_tried_again_where_python_gives_memory_out_in_another_way() -> None:
    assert told("holes.fill(); print(len(holes._filling))", PYTHONMALLOC="malloc") == 0
    assert told("holes.fill(); print(int(holes._fill_python in holes._ways))", PYTHONMALLOC="malloc") == 0
