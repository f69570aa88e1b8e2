"""Objects whose references nobody counts any more.

Counting them is writing: a process that is forked copies the page of every object that it so much as looks at, and
takes apart the huge page in which that lay. From Python 3.12 on an object may be immortal, which is said in its count
and has it left alone (PEP 683, where forked processes are one of the reasons). The Python API lets nobody say it, so it
is written where the count is. Before 3.12, and in Pythons that count in another way, all is left as it is.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from types import CodeType

_count_of = ctypes.c_uint32.from_address
_FIRST_IMMORTAL = 1 << 31
_IMMORTAL = _count_of(id(None)).value  # as this Python says it; far below where it does not know the like


def immortalize() -> None:
    """Keep for good all that was made up to now, but for what `gc.freeze` has set aside already.

    None of it is ever given back: it must be nothing that there is more and more of.
    """
    left = gc.get_objects() if _IMMORTAL >= _FIRST_IMMORTAL else []
    while left:
        one = left.pop()
        if sys.getrefcount(one) < _FIRST_IMMORTAL:
            _count_of(id(one)).value = _IMMORTAL
            left += [one.co_consts] if isinstance(one, CodeType) else gc.get_referents(one)  # it does not ask code
