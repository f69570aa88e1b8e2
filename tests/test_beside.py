from __future__ import annotations

import asyncio

import pytest

from sweeper.beside import as_long_as, beside


async def _for_ever() -> None:
    await asyncio.Event().wait()


async def _breaks() -> None:
    await asyncio.sleep(0)
    raise OSError("it broke")


def test_what_breaks_beside_ends_a_wait_that_might_have_no_other_end() -> None:
    async def main() -> None:
        async with beside(_for_ever()) as good, beside(_breaks()) as bad:
            await as_long_as((good, bad), _for_ever())

    with pytest.raises(OSError, match="it broke"):
        asyncio.run(main())


def test_what_is_waited_for_comes_and_what_goes_on_beside_it_ends_then() -> None:
    async def main() -> tuple[str, bool]:
        async with beside(_for_ever()) as other:
            found = await as_long_as((other,), asyncio.sleep(0, "found"))
        return found, other.cancelled()

    assert asyncio.run(main()) == ("found", True)
