"""The language of `sweeper search`: what it means, and what is said of what it cannot."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.errors import QueryError
from sweeper.history.query import Among, Both, Compare, Either, Field, Not, parse

A = Compare(Field("value"), ">", 1)
B = Compare(Field("seed"), "=", 2)
C = Compare(Field("node"), "=", "x")


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("value > 1", A),
        ("value>1", A),
        ("seed == 2", B),
        ("value > 1 and seed = 2", Both((A, B))),
        ("value > 1 AND seed = 2", Both((A, B))),
        ("value > 1 or seed = 2 and node = x", Either((A, Both((B, C))))),
        ("(value > 1 or seed = 2) and node = 'x'", Both((Either((A, B)), C))),
        ("not value > 1 and seed = 2", Both((Not(A), B))),
        ("not not value > 1", Not(Not(A))),
        ("metrics.val/accuracy >= 9.7e-1", Compare(Field("metrics", "val/accuracy"), ">=", 0.97)),
        ('metrics."val loss" < -1', Compare(Field("metrics", "val loss"), "<", -1)),
        ("params.+optimizer.lr != 0.1", Compare(Field("params", "+optimizer.lr"), "!=", 0.1)),
        ("config.layers[0] = null", Compare(Field("config", "layers[0]"), "=", None)),
        ("code.dirty = true", Compare(Field("code", "dirty"), "=", True)),
        ('env.package("scikit-learn") < "1.5"', Compare(Field("env", "package scikit-learn"), "<", "1.5")),
        ("state in (complete, pruned)", Among(Field("state"), ("complete", "pruned"))),
        (r'node ~ "a\"b\\"', Compare(Field("node"), "~", 'a"b\\')),
        ("study = order", Compare(Field("study"), "=", "order")),
        ("value < inf", Compare(Field("value"), "<", float("inf"))),
    ],
)
def test_what_a_query_means(text: str, meaning: object) -> None:
    assert parse(text) == meaning


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the query is empty: write for example"),
        ("value >", "at its end: expected a value (a number, a text in quotes, or a word)\n  value >\n         ^"),
        ("value > 1 seed = 2", "at 'seed = 2': expected and, or, the end"),
        ("(value > 1", "at its end: expected )"),
        ("value > 1 and", "at its end: expected (, a field, not"),
        ("value 3", "an operator (=, !=, <, <=, >, >=, ~)"),
        ('node = "x', "is a closing quote missing?"),
        ("metric.loss > 1", "metric.loss is no field: did you mean metrics?"),
        ("metrics > 1", "metrics is no field"),
        ("colour = red", "colour is no field: there are metrics.NAME"),
        ("env.colour = red", "env.colour is not known: there are env.package"),
        ('env.packge("torch") = "2"', "env.packge(…) is not known"),
        ("value > 1; drop table trials", "at '; drop table trials'"),
    ],
)
def test_what_is_said_of_a_query_that_means_nothing(text: str, said: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse(text)
    assert said in str(caught.value)


@given(st.text(st.sampled_from("value >=1()\"'andor.~;x"), max_size=30))
def test_whatever_is_typed_means_something_or_is_refused(text: str) -> None:
    try:
        parse(text)
    except QueryError as error:
        assert str(error)
