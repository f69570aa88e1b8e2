"""The variables of libraries, in a process that is forked again and again.

Of what a process has written in a mapping of its own a fork copies every entry of its page table, and the books that
the kernel keeps of it, three microseconds a mapping; and the child takes it all down when it ends. Of a file a fork
copies nothing: children map what they need of it, and copy what they write. With pandas, scikit-learn and pyarrow
imported there are 240 libraries that have 440 such mappings.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from contextlib import suppress

_MOST_ZEROS = 1 << 20
_MOST_BYTES = 64 << 20  # of a part of a library: most of a larger one is data that nobody has looked at yet
_IN_PLACE = mmap.MAP_PRIVATE | 0x10  # of what is there, MAP_FIXED
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
_LIBC = ctypes.CDLL(None)
_LIBC.mmap.restype = ctypes.c_void_p
_LIBC.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)


class _Segment(ctypes.Structure):
    """Elf64_Phdr: a part of a library, as it lies in its file and in memory."""

    _fields_ = (
        ("type", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("offset", ctypes.c_uint64),
        ("address", ctypes.c_uint64),  # from where the library begins
        ("physical", ctypes.c_uint64),
        ("in_file", ctypes.c_uint64),  # bytes; what is longer in memory begins as zeros
        ("in_memory", ctypes.c_uint64),
        ("alignment", ctypes.c_uint64),
    )

    _LOADED, _WRITTEN, _RUN = 1, 2, 1

    @property
    def has_variables(self) -> bool:
        return self.type == self._LOADED and bool(self.flags & self._WRITTEN) and not self.flags & self._RUN


class _Library(ctypes.Structure):
    """The beginning of dl_phdr_info."""

    _fields_ = (
        ("start", ctypes.c_uint64),
        ("name", ctypes.c_char_p),
        ("segments", ctypes.POINTER(_Segment)),
        ("count", ctypes.c_uint16),
    )

    def variables(self) -> list[range]:
        """The addresses of its variables, in whole pages; without long rows of zeros, of which few are ever used."""
        found = []
        for segment in self.segments[: self.count]:
            if segment.has_variables and segment.in_file <= _MOST_BYTES:
                zeros = segment.in_memory - segment.in_file
                start = self.start + segment.address
                end = start + segment.in_file + (zeros if zeros <= _MOST_ZEROS else 0)
                found.append(range(start - start % mmap.PAGESIZE, end + -end % mmap.PAGESIZE))
        return found


def lend() -> None:
    """Have the variables of libraries lie in a file without a name.

    What is written in a library meanwhile is lost: no other thread may run, and the libraries that this very code runs
    on stay as they are. So does the rest where the system has no room for the file.
    """
    places = [place for start, many in _libraries().items() if start not in _OWN for place in many]
    with suppress(OSError), os.fdopen(os.memfd_create("variables"), "r+b", buffering=0) as file:
        os.truncate(file.fileno(), sum(map(len, places)))
        at = 0
        for place in places:
            if os.pwrite(file.fileno(), (ctypes.c_char * len(place)).from_address(place.start), at) < len(place):
                return
            _LIBC.mmap(place.start, len(place), mmap.PROT_READ | mmap.PROT_WRITE, _IN_PLACE, file.fileno(), at)
            at += len(place)


def _libraries() -> dict[int, list[range]]:
    """Where each begins, and its variables."""
    found: dict[int, list[range]] = {}

    def note(place: int, _size: int, _nothing: None) -> int:
        library = _Library.from_address(place)
        found[library.start] = library.variables()
        return 0

    with suppress(MemoryError):  # where no memory may be written and run, there are no callbacks
        _LIBC.dl_iterate_phdr(_CALLBACK(note), None)
    return found


_OWN = frozenset(_libraries())  # what is there when this module has been imported: Python, and what it needs here
