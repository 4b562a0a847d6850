"""Texts made from the grammar itself: `docs/aql/aql.ebnf` is read and walked at random.

The file is the one that readers see, so what it says and what the parser accepts cannot part. Where
the language is narrower than the file, `NARROWER` says so, rule by rule. A derivation has a budget
of steps; when it is used up, every choice takes its shortest way out.
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

FILE = Path(__file__).parents[2] / "docs" / "aql" / "aql.ebnf"

#: Where `aql.md` is narrower than the file.
NARROWER = """
    (* a default is a constant *)
    VariableDef = "$" Name ":" TypeRef [ "=" Constant ] { Directive } ;
    FieldDef = Name ":" FieldType [ "=" Constant ] { Directive } ;
    Constant = Int | Float | String | BlockString | "true" | "false" | "null" | EnumWord | ExprCall
        | "[" { Constant } "]" | "{" { ( Name | String ) ":" Constant } "}" ;
    (* as in GraphQL, no fragment is named 'on' *)
    FragmentSpread = "..." FragmentName { Directive } ;
    FragmentDef = "fragment" FragmentName "on" Name { Directive } SelectionSet ;
    (* one alias is enough; 'transaction {' and 'schema {' begin their blocks *)
    MutationField = [ Name ":" ] "transaction" MutationSet
        | [ Name ":" ] Verb [ Arguments ] { Directive } [ SelectionSet ] ;
    (* only an Enum takes words *)
    FieldType = ( Name | "Enum" "(" { Constant }- ")" | "[" FieldType "]" | "{" { FieldDef } "}" ) [ "!" ] ;
    (* a schema block is about collections *)
    SchemaBlock = "schema" "{" { DefineCollection | AlterStmt | "drop" "collection" Name [ "if" "exists" ] } "}" ;
    (* events and fields are names, an action does something *)
    HandlerPart = "on" ":" ( String | "[" { String }- "]" ) | "fields" ":" "[" { Name | String } "]"
        | "where" ":" Object | "action" ":" Action ;
    SchedulePart = ( "cron" | "every" | "timezone" | "jitter" ) ":" String
        | ( "catchUp" | "overlap" ) ":" EnumWord | "action" ":" Action ;
    Action = "{" { MutationField | SchemaBlock }- "}" ;
    (* the items of a list in an expression are expressions *)
    Primary = Number | String | "true" | "false" | "null" | "$" Name | Call | Path
        | "(" PipeExpr ")" | "[" { PipeExpr } "]" ;
"""

_WORD = re.compile(r'\s*("(?:[^"])*"|[A-Za-z]+|\}-|[=|;()\[\]{}])')


@dataclass(frozen=True)
class Terminal:
    """A word or sign of the language."""

    text: str


@dataclass(frozen=True)
class Rule:
    """The use of a rule by its name."""

    name: str


@dataclass(frozen=True)
class Row:
    """Parts one after the other."""

    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Choice:
    """One of several."""

    ways: tuple[Part, ...]


@dataclass(frozen=True)
class Repeated:
    """A part `least` times or more; `most` is 1 for what may be absent."""

    part: Part
    least: int
    most: int


Part = Terminal | Rule | Row | Choice | Repeated


def read(text: str) -> dict[str, Part]:
    """The rules of a grammar written in EBNF."""
    text = re.sub(r"\(\*.*?\*\)", " ", text, flags=re.DOTALL)
    words = _WORD.findall(text)
    assert "".join(words) == re.sub(r"\s", "", text), "a sign that is not EBNF"
    rules: dict[str, Part] = {}
    at = 0
    while at < len(words):
        name = words[at]
        assert words[at + 1] == "=", name
        rules[name], at = _choice(words, at + 2)
        assert words[at] == ";", name
        at += 1
    return rules


def _choice(words: list[str], at: int) -> tuple[Part, int]:
    ways: list[Part] = []
    while True:
        row, at = _row(words, at)
        ways.append(row)
        if words[at] != "|":
            return (ways[0] if len(ways) == 1 else Choice(tuple(ways))), at
        at += 1


def _row(words: list[str], at: int) -> tuple[Part, int]:
    parts: list[Part] = []
    while words[at] not in ("|", ";", ")", "]", "}", "}-"):
        word = words[at]
        if word[0] == '"':
            parts.append(Terminal(word[1:-1]))
            at += 1
        elif word in "([{":
            inner, at = _choice(words, at + 1)
            if word == "(":
                parts.append(inner)
            elif word == "[":
                parts.append(Repeated(inner, 0, 1))
            else:
                parts.append(Repeated(inner, 1 if words[at] == "}-" else 0, 3))
            at += 1
        else:
            parts.append(Rule(word))
            at += 1
    return (parts[0] if len(parts) == 1 else Row(tuple(parts))), at


@functools.cache
def rules() -> dict[str, Part]:
    """The rules of AQL."""
    return read(FILE.read_text("utf-8")) | read(NARROWER)


@functools.cache
def heights() -> dict[str, int]:
    """How many rules deep the shortest text of each rule is."""
    known = dict.fromkeys(LEXICAL, 0)
    while True:
        found = {
            name: height + 1
            for name, part in rules().items()
            if name not in known and (height := _height(part, known)) is not None
        }
        if not found:
            return known
        known |= found


def _height(part: Part, known: dict[str, int]) -> int | None:
    match part:
        case Terminal():
            return 0
        case Rule(name=name):
            return known.get(name)
        case Row(parts=parts):
            each = [_height(one, known) for one in parts]
            return (
                None if None in each else max((one for one in each if one is not None), default=0)
            )
        case Choice(ways=ways):
            return min(
                (one for way in ways if (one := _height(way, known)) is not None), default=None
            )
        case Repeated(part=inner, least=least):
            return _height(inner, known) if least else 0


# --- tokens ---------------------------------------------------------------------------------

_WORDS = [
    "users", "id", "a", "b1", "_x", "on", "query", "schema", "define", "if", "or", "transaction",
    "expr", "true", "null", "where", "set", "Int", "Enum", "DESC", "now", "drop", "add", "dryRun",
]  # fmt: skip
_NAMES = st.sampled_from(_WORDS)
_TEXTS = st.sampled_from(['"x"', '""', '"a b"', r'"\n\u00e9\u{1f600}"', '"é, #"', '"insert:users"'])
_NUMBERS = st.sampled_from(["0", "5", "42", "0.5", "1e3", "2.5E-1"])
#: What the grammar names and does not spell out, `aql.md` §2.
LEXICAL = {
    "Name": _NAMES,
    "String": _TEXTS,
    "BlockString": st.sampled_from(['"""x"""', '"""\n  a\n   "b"\n"""', '""""""']),
    "Int": st.sampled_from(["0", "7", "-7", "9223372036854775807"]),
    "Float": st.sampled_from(["0.5", "-1.25e3", "1E+2"]),
    "Number": _NUMBERS,
    "Verb": _NAMES.filter(lambda name: name not in ("transaction", "schema")),
    "FragmentName": _NAMES.filter(lambda name: name != "on"),
    "Character": st.sampled_from(["x ", " ", "é", "$ ", "}"]),
}


class Walk:
    """One random text: its tokens, and the choices that made them."""

    def __init__(self, draw: st.DrawFn, budget: int) -> None:
        self._draw = draw
        self._left = budget
        self.tokens: list[str] = []

    def make(self, part: Part) -> None:
        """Append the tokens of a text that the part derives."""
        self._left -= 1
        match part:
            case Terminal(text=text):
                self.tokens.append(text)
            case Rule(name=name):
                self._rule(name)
            case Row(parts=parts):
                for one in parts:
                    self.make(one)
            case Choice(ways=ways):
                self.make(self._way(ways))
            case Repeated(part=inner, least=least, most=most):
                for _ in range(self._draw(st.integers(least, most if self._left > 0 else least))):
                    self.make(inner)

    def _rule(self, name: str) -> None:
        if name in LEXICAL:
            self.tokens.append(self._draw(LEXICAL[name]))
        elif name == "ExprCall":
            self.tokens += ["expr", "(", self._quoted("PipeExpr", " "), ")"]
        elif name == "Template":
            self._template()
        else:
            self.make(rules()[name])

    def _quoted(self, name: str, between: str) -> str:
        """A string that holds a text of the rule."""
        inner = Walk(self._draw, min(self._left, 20))
        inner.make(rules()[name])
        self._left -= len(inner.tokens)
        return json.dumps(between.join(inner.tokens))

    def _template(self) -> None:
        """Characters and holes, with nothing between them."""
        for _ in range(self._draw(st.integers(0, 3))):
            way = self._draw(st.integers(0, 2))
            if way == 0:
                self.tokens.append(self._draw(LEXICAL["Character"]))
            elif way == 1:
                self.tokens.append("$" + self._draw(_NAMES))
            else:
                inner = Walk(self._draw, 10)
                inner.make(rules()["PipeExpr"])
                self.tokens.append("${" + " ".join(inner.tokens) + "}")

    def _way(self, ways: tuple[Part, ...]) -> Part:
        if self._left > 0:
            return self._draw(st.sampled_from(ways))
        known = heights()
        return min(ways, key=lambda way: _height(way, known) or 0)


@st.composite
def tokens(draw: st.DrawFn, start: str, budget: int = 120) -> list[str]:
    """The tokens of a text that the rule `start` derives."""
    walk = Walk(draw, budget)
    walk.make(Rule(start))
    return walk.tokens
