"""Secrets are masked before anything is written, logged or shown: by value, by the key they stand under, by shape.

By value is what holds everywhere: whatever stands in the environment, the config or a URL under a name that sounds
secret is *known* from then on, and masked wherever it turns up, in a traceback, a printed line or a diff. What is known
never leaves the processes of a sweep.
"""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TypeVar, cast

MASK = "***"

_SHORTEST = 8  # of a known secret: shorter ones are words, and are masked under their key alone
_KEY = re.compile(
    r"(pass(word|wd|phrase)?|(?<=[_-])pwd|secrets?|token|api_?key|access_?key(_?id)?|secret_?key|private_?key|signing_?key"
    r"|encryption_?key|account_?key|credentials?|authorization|bearer|cookie|dsn|sas_?token)$",
    re.I,
)
_HARMLESS = re.compile(
    r"((num|max|min|n|use|cls|pad|eos|bos|unk|mask|sep|image|special|start|end|stop)_\w*tokens?\w*|\w*_tokens)$", re.I
)
_CREDENTIALS = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)(?P<user>[^/\s:@'\"]*):(?P<password>[^/\s@'\"]+)@")
_TOKEN_AS_USER = re.compile(r"(?P<scheme>https?://)[^/\s:@'\"]+@", re.I)
_ASSIGNED = re.compile(
    r"(?<![\w.+-])(?P<key>[\w.+-]*\w)(?P<is>['\"]?\s*(?:=|:(?!//))\s*)"
    r"(?P<value>\"[^\"\n]*\"|'[^'\n]*'|[^\s,;&'\"\])}]+)"
)
_SHAPES = re.compile(
    r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|hf_[A-Za-z0-9]{20,}|sk-[\w-]{20,}"
    r"|AKIA[0-9A-Z]{16}|xox[abprs]-[\w-]{10,}|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{5,})\b"
    r"|(?<=\bBearer )[\w.+/=~-]{8,}|(?<=\bBasic )[\w+/=]{8,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
)
_IN_KEYS = re.compile(
    "pass|pwd|secret|token|credential|authorization|bearer|cookie|dsn"
    "|api|access|private|signing|encryption|account"  # before `key`
)  # of which every key has one that sounds secret
_IN_SHAPES = re.compile(
    "gh[pousr]_|github_pat_|glpat-|hf_|sk-|AKIA|xox|eyJ|Bearer |Basic |-----BEGIN "
)  # of which every shape has one; to look for these takes a tenth of the time
_INTERPOLATION = re.compile(r"\$\{[\w.:/-]+\}")  # says where a secret is, and not what
_SHORTEST_SHAPE = 14
_SHORT = 256  # characters of a text whose masked form is remembered
_WORD = re.compile(r"(?<![A-Za-z0-9+/_.-])[A-Za-z0-9]{32,}(?![A-Za-z0-9+/_.-])")
_LETTERS = bytes(ord("a" if chr(code).isalnum() and code < 128 else " ") for code in range(256))
_LONG = b"a" * 32  # of which every such word has one; to look for that takes a tenth of the time
_TURNS = 0.45  # between capitals, small letters and digits, for each character of a random word; CamelCase has 0.3

T = TypeVar("T")

_known: frozenset[str] = frozenset()


def learn(*found: object) -> None:
    """Take note of the secrets in plain data: what stands under secret keys, and the passwords in URLs."""
    new = {value for one in found for value in _secrets_in(one) if len(value) >= _SHORTEST}
    learn_values(spelling for value in new for spelling in _spellings(value))


def learn_values(values: Iterable[str]) -> None:
    """Take over what another process knows."""
    global _known
    new = frozenset(values)
    if not new <= _known:
        _known |= new
        _pattern.cache_clear()
        _masked_word.cache_clear()


def _spellings(value: str) -> Iterator[str]:
    """A secret as it stands in plain text, in a URL, in JSON and in what Python prints of it."""
    yield value
    yield urllib.parse.quote(value, safe="")
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield repr(value)[1:-1]


def known() -> tuple[str, ...]:
    """The secrets that this process knows, for a process of its own that is to know them too."""
    return tuple(sorted(_known))


def masked(value: T) -> T:
    """The same plain data with every secret in it replaced by ***."""
    return cast("T", _masked(value))


def masked_arguments(arguments: Sequence[str]) -> list[str]:
    """A command line with secrets masked, also where a flag and its secret are two words."""
    clean = []
    follows_flag = False
    for argument in arguments:
        clean.append(MASK if follows_flag and argument else masked_text(argument))
        follows_flag = argument.startswith("-") and "=" not in argument and is_secret(argument.lstrip("-"))
    return clean


def masked_text(text: str) -> str:
    """Text, a command or a URL with passwords and tokens replaced by ***."""
    return _masked_word(text) if len(text) <= _SHORT else _masked_text(text)


def _masked_text(text: str) -> str:
    text = masked_shapes(text)
    if ("=" in text or ":" in text) and may_name_a_secret(text):
        text = _ASSIGNED.sub(_masked_assignment, text)
    return text


def masked_shapes(text: str) -> str:
    """Text with passwords and tokens replaced that are known or look like one, under whatever name they stand."""
    text = masked_known(text)
    if "://" in text and "@" in text:
        text = _CREDENTIALS.sub(rf"\g<scheme>\g<user>:{MASK}@", text)
        text = _TOKEN_AS_USER.sub(rf"\g<scheme>{MASK}@", text)
    if len(text) >= _SHORTEST_SHAPE:
        if _IN_SHAPES.search(text):
            text = _SHAPES.sub(MASK, text)
        if _LONG in text.encode(errors="replace").translate(_LETTERS):
            text = _WORD.sub(lambda word: MASK if _is_random(word[0]) else word[0], text)
    return text


_masked_word = lru_cache(maxsize=4096)(_masked_text)  # what trials write of themselves is mostly the same


def masked_known(text: str) -> str:
    """Text in which the secrets that this process knows are masked, and nothing else is looked for: a microsecond."""
    pattern = _pattern()
    return text if pattern is None else pattern.sub(MASK, text)


def masked_bytes(content: bytes) -> bytes:
    """Content in which every known secret is replaced by as many asterisks: sizes and offsets stay what they were."""
    for value in _known:
        secret = value.encode()
        if secret in content:
            content = content.replace(secret, b"*" * len(secret))
    return content


def without_credentials(url: str) -> str:
    """A URL without user and password, which a Git remote may be given with."""
    return re.sub(r"^([a-zA-Z][a-zA-Z0-9+.-]*://)[^/@\s]*@", r"\1", url)


@lru_cache(maxsize=4096)
def is_secret(key: str) -> bool:
    """Whether a value under this key is to be masked whatever it is."""
    name = key.rpartition(".")[2].replace("-", "_")
    return _KEY.search(name) is not None and not is_harmless(name)


def may_name_a_secret(text: str) -> bool:
    """False where no key in a text sounds secret, however the text is to be read. Quick."""
    return _IN_KEYS.search(text.casefold()) is not None


def is_harmless(key: str) -> bool:
    """Keys of language models that merely sound secret: num_tokens, use_cls_token."""
    return _HARMLESS.search(key.rpartition(".")[2]) is not None


@lru_cache(maxsize=1)
def _pattern() -> re.Pattern[str] | None:
    """Any known secret; the longest first, so that no end of one is left."""
    return re.compile("|".join(map(re.escape, sorted(_known, key=len, reverse=True)))) if _known else None


def _secrets_in(found: object, is_named: bool = False) -> Iterator[str]:
    if isinstance(found, str):
        if is_named and found != MASK and not _INTERPOLATION.fullmatch(found):
            yield found
        for match in _CREDENTIALS.finditer(found):
            yield match["password"]
            yield urllib.parse.unquote(match["password"])
    elif isinstance(found, Mapping):
        for key, inner in found.items():
            yield from _secrets_in(inner, is_named or is_secret(str(key)))
    elif isinstance(found, Sequence) and not isinstance(found, bytes):
        for inner in found:
            yield from _secrets_in(inner, is_named)


def _masked(value: object, is_named: bool = False) -> object:
    if isinstance(value, str):
        return MASK if is_named and value and not _INTERPOLATION.fullmatch(value) else masked_text(value)
    if isinstance(value, Mapping):
        return {key: _masked(inner, is_named or is_secret(str(key))) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_masked(inner, is_named) for inner in value]
    return value


def _masked_assignment(found: re.Match[str]) -> str:
    return f"{found['key']}{found['is']}{MASK}" if is_secret(found["key"]) else found[0]


def _is_random(word: str) -> bool:
    """Whether a long word looks drawn, not written: capitals, small letters and digits in no order."""
    kinds = ["A" if c.isupper() else "a" if c.islower() else "0" for c in word]
    turns = sum(a != b for a, b in pairwise(kinds))
    return len(set(kinds)) == 3 and turns >= _TURNS * len(word)
