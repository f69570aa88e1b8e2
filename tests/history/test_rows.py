from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.errors import NotFound
from sweeper.history import TrialName


@given(st.text(min_size=1), st.integers(0, 999_999_999))
def test_a_trials_name_reads_back(study: str, number: int) -> None:
    name = TrialName(study, number)
    assert TrialName.parse(str(name)) == name


@pytest.mark.parametrize(
    "text", ["", "digits", "digits/", "/3", "digits/x", "digits/-1", "digits/1.0", "digits/²", "digits/1234567890"]
)
def test_what_names_no_trial_is_refused(text: str) -> None:
    with pytest.raises(NotFound, match="write STUDY/NUMBER"):
        TrialName.parse(text)
