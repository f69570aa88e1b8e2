"""The memory of a process that is forked again and again, in as few pieces as the kernel allows.

In huge pages a fork copies a five-hundredth of the entries of its page table, and as many need not be taken down when
the child ends; what is written in a huge page takes it apart, so whoever forks has to write little. And each mapping is
copied and taken down as well. With pandas, scikit-learn and pyarrow imported, a fork that does nothing costs 10 ms of
CPU, 3.9 ms with huge pages, and 3.1 ms with half of the mappings. All of it is left out, and costs time alone, where
the kernel has no huge pages (before Linux 6.1) or gives none.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

_HUGE = 2 << 20
_MADV_COLLAPSE = 25  # Linux 6.1
_ENTRY = 8  # bytes that /proc/self/pagemap has for each page
_RESERVED = 96 << 20  # bytes: what the imports of a large app take of Python's small objects
_SIZE, _KEPT_EVERY = 512, 1024  # bytes of an object; one in so many is kept, so that each arena has some
_ARENA = 1 << 20
_NO_ACCESS, _UNUSED = 0, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS  # takes addresses and nothing else
_FIXED_NOREPLACE = 0x100000

_LIBC = ctypes.CDLL(None)
_LIBC.sbrk.restype = ctypes.c_void_p
_LIBC.mmap.restype = ctypes.c_void_p
_LIBC.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
_LIBC.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_LIBC.mprotect.argtypes = _LIBC.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)

_reserve: list[object] = []


@dataclass(frozen=True, slots=True)
class _Mapping:
    """A line of /proc/self/maps."""

    start: int
    end: int
    access: str
    offset: int  # in the file
    file: tuple[str, str]  # device and inode; the inode is 0 where there is no file
    name: str

    @classmethod
    def of(cls, line: str) -> _Mapping:
        addresses, access, offset, device, inode, *name = line.split(maxsplit=5)
        start, end = addresses.split("-")
        return cls(int(start, 16), int(end, 16), access, int(offset, 16), (device, inode), *(name or [""]))

    @property
    def is_of_objects(self) -> bool:
        """Whether it is memory that Python or a library has taken for what it makes."""
        return self.access == "rw-p" and self.file[1] == "0" and not self.name.startswith("[stack")

    def goes_on_in(self, other: _Mapping) -> bool:
        """Whether the other is the next part of the same file."""
        is_next = self.end == other.start and self.offset + self.end - self.start == other.offset
        return is_next and self.file == other.file and self.file[1] != "0"

    def protect(self, access: int) -> None:
        """Change how it may be used; it stays as it is where the system does not allow that."""
        _LIBC.mprotect(self.start, self.end - self.start, access)


def reserve() -> None:
    """Have the objects that are made from now on lie in one piece.

    Python takes memory for small objects in arenas of 1 MiB, and libraries that are loaded meanwhile come between them:
    then no huge page fits. It keeps an arena as long as one object is left in it, and fills those that it has first. So
    the arenas are taken now.
    """
    found: list[object] = [None] * (_RESERVED // _SIZE)  # in full length: growing, it would come between
    with _next_below_a_huge_page():
        for place in range(len(found)):
            found[place] = bytes(_SIZE - 62)  # with what Python adds, in its last class but one
    _reserve.extend(found[::_KEPT_EVERY])


def release() -> None:
    """Give back what was reserved and is not in use."""
    _reserve.clear()


def round_up() -> None:
    """Let the heap end where a huge page does. What a fork of this process adds to it is a mapping of its own."""
    end = _LIBC.sbrk(ctypes.c_long(0)) or 0
    _LIBC.sbrk(ctypes.c_long(-end % _HUGE))


def gather() -> None:
    """Put the memory of this process into huge pages and few mappings, as far as the kernel gives any."""
    round_up()
    _join()
    with Path("/proc/self/pagemap").open("rb") as pages:
        for start in _places():
            pages.seek(start // mmap.PAGESIZE * _ENTRY)
            if _is_in_use(pages.read(_HUGE // mmap.PAGESIZE * _ENTRY)):
                _LIBC.madvise(start, _HUGE, _MADV_COLLAPSE)


@contextmanager
def _next_below_a_huge_page() -> Iterator[None]:
    """Arenas that are taken meanwhile, each below the last, end where a huge page does."""
    first = _LIBC.mmap(None, _ARENA, _NO_ACCESS, _UNUSED, -1, 0)  # where it would lie
    _LIBC.munmap(first, _ARENA)
    end = first + _ARENA
    over = end % _HUGE
    taken = _LIBC.mmap(end - over, over, _NO_ACCESS, _UNUSED | _FIXED_NOREPLACE, -1, 0)  # where nobody is
    yield
    _LIBC.munmap(taken, over)


def _join() -> None:
    """Have each library in two mappings or three instead of five.

    A fork copies each, and a child takes each down: half a microsecond, or three where something was written in it.
    Constants become one with the code between them, as linkers had them until 2018 (binutils 2.31, -z separate-code),
    and the tables that are filled in when a library is loaded with its variables, as without -z relro: constants could
    be executed then, and the tables be written, in processes that run their user's own code.
    """
    for one, other in pairwise(_mappings()):
        if one.goes_on_in(other):
            if (one.access, other.access) == ("r--p", "rw-p"):
                one.protect(mmap.PROT_READ | mmap.PROT_WRITE)
            elif {one.access, other.access} == {"r--p", "r-xp"}:
                constants = one if one.access == "r--p" else other
                constants.protect(mmap.PROT_READ | mmap.PROT_EXEC)


def _mappings() -> list[_Mapping]:
    return [_Mapping.of(line) for line in Path("/proc/self/maps").read_text(errors="replace").splitlines()]


def _places() -> Iterator[int]:
    for found in _mappings():
        if found.is_of_objects:
            yield from range(-(-found.start // _HUGE) * _HUGE, found.end - _HUGE + 1, _HUGE)


def _is_in_use(entries: bytes) -> bool:
    """Whether at least half of it is: the rest would be taken as well. The highest bit says that there is a page."""
    return 2 * sum(highest >= 0x80 for highest in entries[_ENTRY - 1 :: _ENTRY]) >= len(entries) // _ENTRY
