from __future__ import annotations

from pathlib import Path

from sweeper.archive.log import tail


def test_the_last_lines(tmp_path: Path) -> None:
    path = tmp_path / "trial.log"
    path.write_bytes(b"one\ntwo\nthr\xffee")
    assert tail(path, 2) == ["two", "thr\ufffdee"]
    assert tail(path, 9) == ["one", "two", "thr\ufffdee"]


def test_a_long_log_is_not_read_whole_and_no_half_line_shown(tmp_path: Path) -> None:
    path = tmp_path / "trial.log"
    path.write_text("x" * 200_000 + "\n" + "".join(f"{i}\n" for i in range(10)))
    assert tail(path, 3) == ["7", "8", "9"]
    found = tail(path, 100)
    assert found is not None and found == [str(i) for i in range(10)]
    path.write_text("y" * 200_000)
    assert tail(path, 3) == ["y" * 65536]


def test_no_log(tmp_path: Path) -> None:
    assert tail(tmp_path / "trial.log", 3) is None
    assert tail(tmp_path, 3) is None
    (tmp_path / "empty").touch()
    assert tail(tmp_path / "empty", 3) == []
