from __future__ import annotations

import shutil
from pathlib import Path

from sweeper.launch.landmark import planted


def test_a_folder_is_seen_where_its_token_is_and_not_where_a_copy_or_another_is(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    mark = planted(folder)
    assert mark.is_seen

    Path(str(mark.file)).write_text("of an older sweep")
    assert not mark.is_seen
    shutil.rmtree(folder)
    assert not mark.is_seen


def test_a_landmark_in_a_folder_stands_for_the_folder_around_it_but_not_for_one_beside_it(tmp_path: Path) -> None:
    inner = planted(tmp_path / "project/runs")

    assert planted(tmp_path / "project", near=[inner]).file == inner.file
    assert planted(tmp_path / "artifacts", near=[inner]).file != inner.file
    assert sorted(path.name for path in (tmp_path / "project").iterdir()) == ["runs"]


def test_a_folder_that_a_link_leads_out_of_has_a_landmark_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "scratch").mkdir()
    (tmp_path / "project/runs").symlink_to(tmp_path / "scratch")
    inner = planted(tmp_path / "project/runs")

    assert planted(tmp_path / "project", near=[inner]).file != inner.file


def test_where_no_file_can_be_written_nobody_is_known_to_see_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    assert not planted(tmp_path / "file/folder").is_seen
