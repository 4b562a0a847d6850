"""The parser and the grammar that readers see, `docs/aql/aql.ebnf`, are one."""

from __future__ import annotations

import random
from collections.abc import Iterator

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.aql import ebnf

from aurora_db.aql.parser import parse
from aurora_db.aql.parser_expressions import parse_expression, parse_template
from aurora_db.base.errors import AqlError

#: Derivations are long; what they draw is bounded by their budget.
calmly = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def refusal(text: str) -> AqlError | None:
    """The error that a text is refused with; None when it is read."""
    try:
        assert parse(text).definitions
    except AqlError as error:
        return error
    return None


def accepted(text: str) -> None:
    """Parse a text that the grammar derives: only what it means may be wrong with it."""
    error = refusal(text)
    meant = error is None or error.code in ("duplicate_argument", "missing_argument")
    assert meant, f"{text}\n{error}"


def read_or_refused_with_its_place(text: str) -> None:
    """Parse any text: what is refused is refused by an error that points into it."""
    error = refusal(text)
    if error is None:
        return
    assert error.column is not None
    assert error.excerpt is not None
    assert error.span is not None
    assert 0 <= error.span.start <= error.span.end <= len(text)
    assert error.line == text.count("\n", 0, error.span.start) + 1


def test_every_rule_of_the_grammar_can_end():
    """Each has a finite text, and none stands there unused."""
    assert set(ebnf.rules()) <= set(ebnf.heights())
    used = set(_names(*ebnf.rules().values()))
    assert set(ebnf.rules()) - used == {"Document", "Template"}
    assert used - set(ebnf.rules()) <= set(ebnf.LEXICAL)


def _names(*parts: ebnf.Part) -> Iterator[str]:
    for part in parts:
        match part:
            case ebnf.Rule(name=name):
                yield name
            case ebnf.Row(parts=inner) | ebnf.Choice(ways=inner):
                yield from _names(*inner)
            case ebnf.Repeated(part=one):
                yield from _names(one)
            case _:
                pass


@calmly
@given(ebnf.tokens("Document"))
@example(["{", "a", ":", "b", "(", ")", "|", "upper", "}"])
@example(["{", "a", ":", "b", "-5", "}"])
def test_whatever_the_grammar_derives_is_read(tokens: list[str]):
    """The grammar promises nothing that the parser does not keep."""
    accepted(" ".join(tokens))


@calmly
@given(ebnf.tokens("Definition", budget=60), st.randoms(use_true_random=False))
def test_what_stands_between_tokens_means_nothing(tokens: list[str], draw: random.Random):
    """Commas, line breaks and comments may stand between any two tokens."""
    text = "".join(
        one + draw.choice([" ", ",", "\n", ", ,\t", " # {(\n", "\r\n"]) for one in tokens
    )
    accepted(text)


@calmly
@given(ebnf.tokens("PipeExpr"))
def test_every_expression_that_the_grammar_derives_is_read(tokens: list[str]):
    """In a string as in a selection."""
    parse_expression(" ".join(tokens))


@calmly
@given(ebnf.tokens("Template"))
def test_every_template_that_the_grammar_derives_is_read(tokens: list[str]):
    parse_template("".join(tokens))


@calmly
@given(ebnf.tokens("Document", budget=60), st.data())
def test_a_text_with_a_wrong_token_is_refused_with_its_place(
    tokens: list[str], data: st.DataObject
):
    """Tokens left out, doubled, swapped or replaced: accepted, or refused by line and column."""
    at = data.draw(st.integers(0, len(tokens) - 1))
    match data.draw(st.sampled_from(["delete", "double", "swap", "replace"])):
        case "delete":
            del tokens[at]
        case "double":
            tokens.insert(at, tokens[at])
        case "swap":
            other = data.draw(st.integers(0, len(tokens) - 1))
            tokens[at], tokens[other] = tokens[other], tokens[at]
        case _:
            tokens[at] = data.draw(
                st.sampled_from(["", "{", "}", ")", ":", "$", "!=", "-1", '"', "'", "x"])
            )
    read_or_refused_with_its_place(" ".join(tokens))


@calmly
@given(ebnf.tokens("Document", budget=60), st.data())
def test_a_text_with_a_wrong_character_is_refused_with_its_place(
    tokens: list[str], data: st.DataObject
):
    """One character taken out, put in or replaced."""
    text = " ".join(tokens)
    at = data.draw(st.integers(0, len(text)))
    put = data.draw(st.sampled_from(["", *"\"\\{}()[]:=!@$.|&-+#;'\n\x00é", "\ud800", "\u2028"]))
    read_or_refused_with_its_place(text[:at] + put + text[at + data.draw(st.integers(0, 1)) :])
