"""Secrets are masked before anything is written, logged or shown: by the key they stand under, and by their shape."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypeVar, cast

MASK = "***"

_KEY = re.compile(r"(pass(word|wd|phrase)?|secret|token|api_?key|access_?key|private_?key|credentials?)$", re.I)
_HARMLESS = re.compile(r"(num|max|min|n|use|cls|pad|eos|bos|unk|mask|sep)_\w*tokens?\w*$|\w*_tokens$", re.I)
_CREDENTIALS = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)(?P<user>[^/\s:@]*):(?P<password>[^/\s@]+)@")
_ASSIGNED = re.compile(r"(?P<key>[\w.+-]*(?:password|passwd|secret|token|api_?key|access_?key))(?P<is>=|:\s*)\S+", re.I)
_SHAPES = re.compile(
    r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|hf_[A-Za-z0-9]{20,}|sk-[\w-]{20,}"
    r"|AKIA[0-9A-Z]{16}|xox[abprs]-[\w-]{10,}|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{5,})\b"
)

T = TypeVar("T")


def masked(value: T) -> T:
    """The same plain data with every secret in it replaced by ***."""
    return cast("T", _masked(value))


def masked_text(text: str) -> str:
    """A line of text, a command or a URL with passwords and tokens replaced by ***."""
    text = _CREDENTIALS.sub(rf"\g<scheme>\g<user>:{MASK}@", text)
    text = _SHAPES.sub(MASK, text)
    return _ASSIGNED.sub(lambda m: m[0] if is_harmless(m["key"]) else f"{m['key']}{m['is']}{MASK}", text)


def is_secret(key: str) -> bool:
    """Whether a value under this key is to be masked whatever it is."""
    name = key.rpartition(".")[2]
    return _KEY.search(name) is not None and not is_harmless(name)


def is_harmless(key: str) -> bool:
    """Keys of language models that merely sound secret: num_tokens, use_cls_token."""
    return _HARMLESS.search(key.rpartition(".")[2]) is not None


def _masked(value: object) -> object:
    if isinstance(value, str):
        return masked_text(value)
    if isinstance(value, Mapping):
        return {
            key: MASK if is_secret(str(key)) and isinstance(inner, str) and inner else _masked(inner)
            for key, inner in value.items()
        }
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_masked(inner) for inner in value]
    return value
