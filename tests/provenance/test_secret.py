"""Secrets are masked by key, by value and by shape, and nothing else is."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sweeper.provenance import secret

KEYS = (
    "password",
    "db.password",
    "API_KEY",
    "api-key",
    "WANDB_API_KEY",
    "hf_token",
    "client_secret",
    "AWS_SECRET_ACCESS_KEY",
)
HARMLESS = ("max_tokens", "num_tokens", "use_cls_token", "lr", "monkey", "model", "PWD", "OLDPWD", "tokenizer", "key")
VALUES = st.text(st.characters(codec="ascii", exclude_categories=("Cc",)), min_size=8, max_size=24).filter(
    lambda value: value.strip() == value and "${" not in value
)


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(secret, "_known", frozenset())
    secret._pattern.cache_clear()
    yield
    secret._pattern.cache_clear()


@given(
    st.sampled_from(KEYS),
    VALUES,
    st.recursive(st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)),
)
def test_under_a_key_that_sounds_secret(key: str, value: str, beside: Any) -> None:
    assume(value not in json.dumps(beside))  # by chance, under a key that does not sound secret
    data = {"beside": beside, "inner": [{key: value, "list": {key: [value, {"deep": value}]}}]}
    assert value not in json.dumps(secret.masked(data), ensure_ascii=False).replace("\\\\", "\\").replace('\\"', '"')
    assert secret.masked(data)["beside"] == json.loads(json.dumps(beside))


@pytest.mark.parametrize("key", HARMLESS)
def test_a_key_that_only_sounds_secret(key: str) -> None:
    assert secret.masked({key: "a value"}) == {key: "a value"}


@given(VALUES, st.text(), st.text())
def test_a_known_value_is_masked_wherever_it_turns_up(value: str, before: str, after: str) -> None:
    secret.learn({"token": value})
    assert value not in secret.masked_text(before.replace(value, "") + value + after.replace(value, ""))
    content = f"{before}{value}{after}".encode("utf-8", "replace")
    clean = secret.masked_bytes(content)
    assert value.encode() not in clean and len(clean) == len(content)


@pytest.mark.parametrize("spell", [str, json.dumps, repr, urllib.parse.quote])
def test_a_known_value_is_masked_however_it_is_spelt(spell: Callable[[str], str]) -> None:
    value = 'quo"ted\\and |0B\u00e9'
    secret.learn({"token": value})

    clean = secret.masked_text(f"said {spell(value)} aloud")

    assert clean.removeprefix("said ").removesuffix(" aloud").strip("'\"") == secret.MASK


def test_what_is_known_comes_from_keys_and_urls_at_any_depth() -> None:
    secret.learn({"a": [{"db": {"password": "first-secret"}}]}, ["postgresql://ada:second%40secret@host/db"])
    assert secret.masked_text("first-secret second@secret second%40secret") == "*** *** ***"


def test_words_and_interpolations_are_not_taken_for_known_secrets() -> None:
    secret.learn({"password": "admin", "token": "${oc.env:TOKEN}"})
    assert secret.masked_text("admin ${oc.env:TOKEN}") == "admin ${oc.env:TOKEN}"
    assert secret.masked({"token": "${oc.env:TOKEN}", "password": "admin"}) == {
        "token": "${oc.env:TOKEN}",
        "password": "***",
    }


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("train.py db.password=hunter2 lr=0.1", "train.py db.password=*** lr=0.1"),
        ("--api-key=abc", "--api-key=***"),
        ('{"token": "a b", "lr": 1}', '{"token": ***, "lr": 1}'),
        ("postgresql://ada:hunter2@host/db", "postgresql://ada:***@host/db"),
        ("postgresql://ada@host/db", "postgresql://ada@host/db"),
        ("https://tokenasuser@github.com/a/b", "https://***@github.com/a/b"),
        ("Authorization: Bearer abc.def-123", "Authorization: *** ***"),
        ("key ghp_" + "a1B2" * 6, "key ***"),
        ("AKIA" + "ABCDEFGHIJKLMNOP", "***"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----", "***"),
        ("x aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG", "x ***"),
        ("ResNet50Imagenet1KV2Checkpoint2024XLong", "ResNet50Imagenet1KV2Checkpoint2024XLong"),
        ("d59176dd59176dd59176dd59176dd59176d0000a", "d59176dd59176dd59176dd59176dd59176d0000a"),
        ("/data/aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG/x", "/data/aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG/x"),
    ],
)
def test_by_shape(text: str, clean: str) -> None:
    assert secret.masked_text(text) == clean


def test_a_flag_and_its_secret_may_be_two_words() -> None:
    assert secret.masked_arguments(["train.py", "--token", "abc", "--verbose", "x", "--api-key=1"]) == [
        *("train.py", "--token", "***", "--verbose", "x", "--api-key=***"),
    ]


@given(st.text(st.sampled_from("abcxyz019=:/@ -_.'\"{}[]"), max_size=60))
def test_masking_twice_is_masking_once(text: str) -> None:
    once = secret.masked_text(text)
    assert secret.masked_text(once) == once


@given(st.text(max_size=3), st.from_regex(secret._KEY), st.sampled_from(["_", "-"]))
def test_the_quick_look_at_keys_overlooks_none(before: str, key: str, dash: str) -> None:
    key = before + key.replace("_", dash)
    assert secret.may_name_a_secret(key) or not secret.is_secret(key)


@given(st.from_regex(secret._SHAPES))
def test_the_quick_look_at_shapes_overlooks_none(text: str) -> None:
    assert secret._IN_SHAPES.search(text)
