"""The memory of a process that is forked again and again, in huge pages: a fork then copies a five-hundredth of the
entries of its page table, and as many need not be taken down when the child ends.

With pandas, scikit-learn and pyarrow imported, a fork that does nothing costs 10 ms of CPU, and 4.5 ms so. What is
written in a huge page takes it apart: whoever forks has to write little. All of it is left out, and costs time alone,
where the kernel has no huge pages (before Linux 6.1) or gives none.
"""

from __future__ import annotations

import ctypes
import mmap
import re
from collections.abc import Iterator
from pathlib import Path

_HUGE = 2 << 20
_MADV_COLLAPSE = 25  # Linux 6.1
_ENTRY = 8  # bytes that /proc/self/pagemap has for each page
_ANONYMOUS = re.compile(rb"^([0-9a-f]+)-([0-9a-f]+) rw-p \S+ \S+ 0 *(?:\[(?:heap|anon:.*)\])?$", re.MULTILINE)
_RESERVED = 96 << 20  # bytes: what the imports of a large app take of Python's small objects
_SIZE, _KEPT_EVERY = 512, 1024  # bytes of an object; one in so many is kept, so that each arena has some

_reserve: list[object] = []


def reserve() -> None:
    """Have the objects that are made from now on lie in one piece.

    Python takes memory for small objects in arenas of 1 MiB, and libraries that are loaded meanwhile come between them:
    then no huge page fits. It keeps an arena as long as one object is left in it, and fills those that it has first. So
    the arenas are taken now.
    """
    found: list[object] = [None] * (_RESERVED // _SIZE)  # in full length: growing, it would come between
    for place in range(len(found)):
        found[place] = bytes(_SIZE - 62)  # with what Python adds, in its last class but one
    _reserve.extend(found[::_KEPT_EVERY])


def release() -> None:
    """Give back what was reserved and is not in use."""
    _reserve.clear()


def gather() -> None:
    """Put the memory of this process into huge pages, as far as the kernel gives any."""
    collapse = ctypes.CDLL(None).madvise
    with Path("/proc/self/pagemap").open("rb") as pages:
        for start in _places():
            pages.seek(start // mmap.PAGESIZE * _ENTRY)
            if _is_in_use(pages.read(_HUGE // mmap.PAGESIZE * _ENTRY)):
                collapse(ctypes.c_void_p(start), ctypes.c_size_t(_HUGE), _MADV_COLLAPSE)


def _places() -> Iterator[int]:
    for found in _ANONYMOUS.finditer(Path("/proc/self/maps").read_bytes()):
        start, end = (int(address, 16) for address in found.groups())
        yield from range(-(-start // _HUGE) * _HUGE, end - _HUGE + 1, _HUGE)


def _is_in_use(entries: bytes) -> bool:
    """Whether at least half of it is: the rest would be taken as well. The highest bit says that there is a page."""
    return 2 * sum(highest >= 0x80 for highest in entries[_ENTRY - 1 :: _ENTRY]) >= len(entries) // _ENTRY
