"""Memory in huge pages: what lies in it stays what it was, and what is empty takes none."""

from __future__ import annotations

import subprocess
import sys

_TOLD = """
import mmap, re
from pathlib import Path
from sweeper.run import pages

def huge():
    return sum(int(kib) << 10 for kib in re.findall(r"AnonHugePages: +(\\d+)", Path("/proc/self/smaps").read_text()))
"""
_MIB = 1 << 20


def told(code: str) -> list[int]:
    return [int(word) for word in subprocess.check_output([sys.executable, "-c", _TOLD + code], text=True).split()]


def test_what_is_in_use_comes_into_huge_pages_and_is_what_it_was() -> None:
    before, after, same = told(
        "made = [str(number) for number in range(400_000)]\n"
        "before = huge(); pages.gather()\n"
        "print(before, huge(), int(made == [str(number) for number in range(400_000)]))"
    )
    assert before == 0
    assert after >= 8 * _MIB
    assert same == 1


def test_what_was_never_written_is_left_alone() -> None:
    before, after = told(
        "empty = mmap.mmap(-1, 64 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)\n"
        "empty[::1 << 20] = b'x' * 64\n"  # two pages in each huge one
        "pages.gather(); before = huge(); del empty; print(before, huge())"
    )
    assert before == after


def test_objects_made_between_mappings_lie_in_one_piece_where_it_was_reserved() -> None:
    code = (
        "kept = []\n"
        "for turn in range(8):\n"
        "    kept.append([bytes(400) for _ in range(4_000)])\n"
        "    kept.append(mmap.mmap(-1, 1 << 20))\n"  # as a library that is loaded meanwhile
        "pages.release()\n"
        "maps = re.findall('^([0-9a-f]+)-([0-9a-f]+)', Path('/proc/self/maps').read_text(), re.MULTILINE)\n"
        "pieces = [range(int(start, 16), int(end, 16)) for start, end in maps]\n"
        "ours = [piece for piece in pieces if any(id(many[-1]) in piece for many in kept[::2])]\n"
        "print(len(ours), max(piece.stop for piece in ours) % pages._HUGE)"
    )
    (reserved, over), (not_reserved, _) = told(f"pages.reserve()\n{code}"), told(code)
    assert reserved <= 2 < 6 <= not_reserved
    assert over == 0  # its last huge page is whole


def test_what_was_reserved_and_is_not_in_use_is_given_back() -> None:
    held, left = told(
        "def own():\n"
        "    return int(re.search(r'RssAnon:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) << 10\n"
        "before = own(); pages.reserve(); held = own() - before; pages.release(); print(held, own() - before)"
    )
    assert held > 90 * _MIB
    assert left < 4 * _MIB


def test_what_lies_where_arenas_are_to_end_is_left_alone() -> None:
    (kept,) = told(
        "import ctypes; libc, huge, arena = pages._LIBC, pages._HUGE, pages._ARENA\n"
        "def probed():\n"
        "    start = libc.mmap(None, arena, 0, pages._UNUSED, -1, 0); libc.munmap(start, arena); return start + arena\n"
        "while (end := probed()) % huge <= arena + mmap.PAGESIZE:\n"
        "    libc.mmap(end - mmap.PAGESIZE, mmap.PAGESIZE, 0, pages._UNUSED | pages._FIXED_NOREPLACE, -1, 0)\n"
        "place = end - end % huge\n"
        "taken = libc.mmap(place, mmap.PAGESIZE, 3, pages._UNUSED | pages._FIXED_NOREPLACE, -1, 0)\n"
        "assert taken == place; ctypes.memset(taken, 7, mmap.PAGESIZE)\n"
        "with pages._next_below_a_huge_page(): pass\n"
        "print(int(ctypes.string_at(taken, mmap.PAGESIZE) == bytes([7]) * mmap.PAGESIZE))"
    )
    assert kept == 1


def test_the_heap_ends_where_a_huge_page_does_and_goes_on_to_grow() -> None:
    over, same = told(
        "import ctypes; sbrk = ctypes.CDLL(None).sbrk; sbrk.restype = ctypes.c_void_p\n"
        "pages.round_up(); over = sbrk(ctypes.c_long(0)) % pages._HUGE\n"
        "made = [bytes([number % 256]) * 100_000 for number in range(200)]\n"
        "print(over, int(all(set(each) == {number % 256} for number, each in enumerate(made))))"
    )
    assert (over, same) == (0, 1)


def test_a_library_lies_in_fewer_mappings_and_works_as_before() -> None:
    before, after, works = told(
        "import sqlite3, numpy as np\n"
        "def parts():\n"
        "    return sum('.so' in line for line in Path('/proc/self/maps').read_text().splitlines())\n"
        "before = parts(); pages.gather(); after = parts()\n"
        "found = sqlite3.connect(':memory:').execute('select 6 * 7').fetchone()[0]\n"
        "print(before, after, int(found == 42 and np.linalg.norm(np.array([3.0, 4.0])) == 5))"
    )
    assert after <= 0.7 * before
    assert works == 1
