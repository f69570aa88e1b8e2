"""The language of `sweeper search`: comparisons of what is on record, joined by and, or, not and parentheses.

    metrics.val/accuracy > 0.97 and params.model = "cnn" and env.package("torch") < "2.5"

A comparison with something that a trial does not have holds for no operator; `= null` and `!= null` ask for just that.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from sweeper.errors import QueryError

Value = None | bool | int | float | str

_GRAMMAR = r"""
?start: either
?either: both ("or"i both)*                -> either
?both: inverse ("and"i inverse)*           -> both
?inverse: "not"i inverse                   -> inverse
    | "(" either ")"
    | comparison
comparison: field OPERATOR value
    | field "in"i "(" value ("," value)* ")" -> membership
field: NAME                                -> plain
    | NAME "(" STRING ")"                  -> call
    | NAME STRING                          -> quoted
?value: NUMBER                             -> number
    | STRING                               -> string
    | NAME                                 -> word
OPERATOR: "==" | "!=" | "<=" | ">=" | "=" | "<" | ">" | "~"
NAME.1: /(?!(?:and|or|not|in)\b)[A-Za-z_][\w.\/+@:\-\[\]]*/i
NUMBER.2: /[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.])/
STRING: /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/
%ignore /\s+/
"""


@dataclass(frozen=True, slots=True)
class Field:
    """`metrics.val/accuracy`: a kind and, for some kinds, a key."""

    kind: str
    key: str | None = None

    def __str__(self) -> str:
        return self.kind if self.key is None else f"{self.kind}.{self.key}"


@dataclass(frozen=True, slots=True)
class Compare:
    """A field, an operator (=, !=, <, <=, >, >= or ~ for contains) and a value."""

    field: Field
    operator: str
    value: Value


@dataclass(frozen=True, slots=True)
class Among:
    """A field whose value is one of several."""

    field: Field
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Both:
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Either:
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: Condition


Condition = Compare | Among | Both | Either | Not

KEYED = {
    "metrics": "the last value of a metric: metrics.val/accuracy",
    "params": "what the sampler chose: params.optimizer.lr",
    "config": "a key of the resolved config: config.model.depth",
    "values": "an objective by its name: values.latency_ms",
    "tests": "the last value of a test metric: tests.accuracy",
    "data": "the sha256 of data by its name: data.train",
    "env": 'the environment: env.package("torch"), env.python, env.gpu, env.driver, env.cuda, env.os, env.cpu',
    "code": "the code: code.commit, code.branch, code.dirty",
}
PLAIN = {
    "study": "the study's name",
    "number": "the trial's number",
    "state": "complete, pruned, fail, running or waiting",
    "value": "the first objective's value",
    "failure": "why it failed: error, oom, timeout, …",
    "error": "the line of an error",
    "seed": "the trial's seed",
    "node": "the machine it ran on",
    "attempt": "which attempt was its last, from 0",
    "runtime_s": "seconds",
    "peak_rss_bytes": "bytes",
    "peak_gpu_memory_bytes": "bytes",
    "gpu_seconds": "cards held, or the share of one, times seconds",
    "energy_j": "joules",
    "tag": "a tag of the trial",
    "artifact": "the name of a file it keeps",
    "user": "who launched it",
    "host": "where it was launched",
    "sampler": "the sampler's class",
}
_OF_ENV = ("package", "python", "gpu", "driver", "cuda", "os", "cpu", "kernel")
_OF_CODE = ("commit", "branch", "dirty")


def parse(text: str) -> Condition:
    """Read a query. Raises QueryError with the place where it cannot be understood and what could stand there."""
    if not text.strip():
        raise QueryError('the query is empty: write for example metrics.val/accuracy > 0.9 and params.model = "cnn"')
    import lark

    try:
        tree = _parser().parse(text)
    except lark.exceptions.UnexpectedInput as error:
        raise QueryError(_explained(text, error)) from error
    return _condition(tree)


def field(text: str) -> Field:
    """Read the name of a field alone: everything after the first dot is the key. Raises QueryError."""
    kind, dot, key = text.partition(".")
    return _checked(Field(kind, key if dot else None))


@functools.cache
def _parser() -> Any:
    import lark

    return lark.Lark(_GRAMMAR, parser="lalr", lexer="contextual", maybe_placeholders=False)


def _condition(tree: Any) -> Condition:
    match tree.data:
        case "either" | "both":
            parts = tuple(_condition(child) for child in tree.children)
            if len(parts) == 1:
                return parts[0]
            return Either(parts) if tree.data == "either" else Both(parts)
        case "inverse":
            return Not(_condition(tree.children[0]))
        case "membership":
            field, *values = tree.children
            return Among(_field(field), tuple(_value(value) for value in values))
    field, operator, value = tree.children
    return Compare(_field(field), "=" if operator == "==" else str(operator), _value(value))


def _field(tree: Any) -> Field:
    name = str(tree.children[0])
    if tree.data == "call":
        if name.lower() not in ("env.package", "tag", "artifact"):
            raise QueryError(f'{name}(…) is not known: the one function is env.package("torch")')
        return _checked(Field("env", f"package {_unquoted(tree.children[1])}"))
    if tree.data == "quoted":
        if not name.endswith("."):
            raise QueryError(f"{name} {tree.children[1]}: an operator is missing between them, such as = or >")
        return _checked(Field(name[:-1], _unquoted(tree.children[1])))
    return field(name)


def _checked(field: Field) -> Field:
    if field.kind in PLAIN and field.key is None:
        return field
    if field.kind in KEYED and field.key:
        known = {"env": _OF_ENV, "code": _OF_CODE}.get(field.kind)
        if known is None or field.key.partition(" ")[0] in known:
            return field
        raise QueryError(f"{field} is not known: there are {', '.join(f'{field.kind}.{key}' for key in known)}")
    import difflib

    near = difflib.get_close_matches(field.kind, [*PLAIN, *KEYED], n=1)
    hint = f"did you mean {near[0]}? " if near and near[0] != field.kind else ""
    keyed = ", ".join(f"{kind}.NAME" for kind in KEYED)
    raise QueryError(f"{field} is no field: {hint}there are {keyed}, {', '.join(PLAIN)}")


def _value(tree: Any) -> Value:
    text = str(tree.children[0])
    if tree.data == "string":
        return _unquoted(text)
    if tree.data == "number":
        try:
            return int(text)
        except ValueError:
            return float(text)
    return _WORDS.get(text.lower(), text)


_WORDS: dict[str, Value] = {"null": None, "none": None, "true": True, "false": False}
_WORDS |= {"inf": float("inf"), "nan": float("nan")}


def _unquoted(text: str) -> str:
    import re

    return re.sub(r"\\(.)", r"\1", str(text)[1:-1])


_EXPECTED = {
    "NAME": "a field",
    "STRING": "a text in quotes",
    "NUMBER": "a number",
    "OPERATOR": "an operator (=, !=, <, <=, >, >=, ~)",
    "LPAR": "(",
    "RPAR": ")",
    "COMMA": ",",
    "AND": "and",
    "OR": "or",
    "NOT": "not",
    "IN": "in (…)",
    "$END": "the end",
}


def _explained(text: str, error: Any) -> str:
    """Where the query breaks off, marked below it, and what could stand there."""
    import lark

    at = len(text) if getattr(error, "pos_in_stream", None) in (None, -1) else int(error.pos_in_stream)
    if isinstance(error, lark.exceptions.UnexpectedToken):
        names = error.accepts or error.expected
        if error.token.type == "$END":
            at = len(text)
    else:
        names = getattr(error, "allowed", None) or set()
    if "NUMBER" in names:
        wanted = "a value (a number, a text in quotes, or a word)"
    else:
        wanted = ", ".join(sorted({_EXPECTED.get(name, name.lower()) for name in names})) or "something else"
    found = f"{text[at : at + 20]!r}" if at < len(text) else "its end"
    if at < len(text) and text[at] in "\"'":
        wanted += "; is a closing quote missing?"
    return f"the query cannot be understood at {found}: expected {wanted}\n  {text}\n  {' ' * at}^"
