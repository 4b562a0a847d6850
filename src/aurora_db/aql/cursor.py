"""The parser's place in the tokens: one token at a time, and errors that say what was expected.

A cursor never goes back. It never passes the `END` tokens, for only a token of a known other kind
is taken. Tokens are counted; `at` is the next one. Where every microsecond counts, rules of the
grammar read `kinds` and `texts` at `at` themselves.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

from aurora_db.aql import elsewhere, literals
from aurora_db.aql.syntax import Name
from aurora_db.aql.tokens import END, NAME, STRING, fault, shorten, tokenize
from aurora_db.base.errors import AqlSyntaxError, DuplicateArgument, Span

#: What other languages write for an operator of expressions.
_OTHER_OPERATORS: Final = {"=": "==", "&": "&&", "and": "&&", "or": "||", "is": "=="}


class Cursor:
    """Where the parser is: `at` is the next token."""

    __slots__ = ("at", "depth", "in_items", "kinds", "source", "texts", "tokens")

    def __init__(self, source: str, depth: int = 0) -> None:
        self.source = source
        self.tokens = tokenize(source)
        self.kinds = self.tokens.kinds
        self.texts = self.tokens.texts
        self.at = 0
        #: How deep the expression is that is being read; `parser_expressions` bounds it.
        self.depth = depth
        #: Whether expressions stand in a row here, as arguments do.
        self.in_items = False

    @property
    def kind(self) -> str:
        """The kind of the next token."""
        return self.kinds[self.at]

    @property
    def text(self) -> str:
        """The text of the next token."""
        return self.texts[self.at]

    # --- moving ---------------------------------------------------------------------------

    def advance(self) -> int:
        """Take the next token, whatever it is; returns its index."""
        self.at += 1
        return self.at - 1

    def skip(self, kind: str) -> bool:
        """Take the next token if it is of this kind; tells whether it was."""
        if self.kinds[self.at] != kind:
            return False
        self.at += 1
        return True

    def skip_required(self) -> bool:
        """Take the `!` of a type, where it stands; it may touch the `=` of a default."""
        if self.kinds[self.at] == "!=":
            self.tokens.part(self.at)
            return True
        return self.skip("!")

    def expect(self, kind: str, what: str) -> int:
        """Take the next token, which must be of this kind; `what` names it in the error."""
        if self.kinds[self.at] != kind:
            raise self.expected(what)
        self.at += 1
        return self.at - 1

    def word(self, what: str) -> str:
        """Take a name; `what` says whose."""
        return self.texts[self.expect(NAME, what)]

    def name(self, what: str) -> Name:
        """Take a name with its place; `what` says whose."""
        index = self.expect(NAME, what)
        return Name(self.texts[index], span=Span(index, index, self.tokens))

    def name_at(self, index: int) -> Name:
        """The name that the token is."""
        return Name(self.texts[index], span=Span(index, index, self.tokens))

    def string(self) -> str:
        """Take the next token, a string; its value."""
        self.at += 1
        return literals.string(self.tokens, self.at - 1)

    def at_word(self, word: str) -> bool:
        """Whether the next token is this name."""
        return self.texts[self.at] == word

    def expect_word(self, word: str, before: str) -> None:
        """Take this very name, which must stand after `before`."""
        if not self.at_word(word):
            raise self.expected(f"'{word}' after '{before}'", self.near((word,)))
        self.at += 1

    def one_of(self, after: str, words: tuple[str, ...]) -> str:
        """Take one of `words`, which must stand after `after`."""
        if self.text not in words:
            *first, last = [f"'{word}'" for word in words]
            choice = f"{', '.join(first)} or {last}" if first else last
            raise self.expected(f"{choice} after '{after}'", self.near(words))
        return self.texts[self.advance()]

    def close(self, closing: str, opener: int, item: str, what: str) -> None:
        """Take the bracket that closes `what`; `item` is what else could stand here."""
        if self.kinds[self.at] != closing:
            raise self.unclosed(closing, opener, item, what)
        self.at += 1

    def unclosed(self, closing: str, opener: int, item: str, what: str) -> AqlSyntaxError:
        """The error that something else stands where `closing` or an item was expected."""
        if self.kinds[self.at] == END:
            expected = f"'{closing}' to close {what}"
        else:
            expected = f"{item} or '{closing}' to close {what}"
        if self.kind == "$" and closing == "}":
            return self.expected(expected, "names of operators and fields have no '$'")
        line = self.source.count("\n", 0, self.tokens.start(opener)) + 1
        return self.expected(expected, f"'{self.texts[opener]}' was opened on line {line}")

    def span(self, index: int) -> Span:
        """The place of a token."""
        return Span(index, index, self.tokens)

    def after_comma(self) -> bool:
        """Whether a comma stands before the next token."""
        at = self.at
        return "," in self.source[self.tokens.end(at - 1) : self.tokens.start(at)]

    def since(self, first: int) -> Span:
        """From the token `first` to the one taken last."""
        return Span(first, self.at - 1, self.tokens)

    # --- refusing -------------------------------------------------------------------------

    def expected(self, what: str, hint: str | None = None) -> AqlSyntaxError:
        """The error that `what` was expected where the next token is."""
        wrong = fault(self.tokens, self.at)
        if wrong is not None:
            return wrong
        hint = self._mistake(what) or hint
        return self.error(f"expected {what}, found {self._found()}", self.span(self.at), hint)

    def error(self, message: str, span: Span, hint: str | None = None) -> AqlSyntaxError:
        """An error at `span`."""
        return AqlSyntaxError(message, hint=hint, source=self.source, span=span)

    def duplicate(self, what: str, span: Span) -> DuplicateArgument:
        """The error that `what` stands at `span` for the second time."""
        message = f"{what} stands twice"
        hint = "keep one of them"
        return DuplicateArgument(message, hint=hint, source=self.source, span=span)

    def near(self, known: Iterable[str]) -> str | None:
        """A hint that the next token may be a misspelt one of `known`."""
        if self.kind != NAME or len(self.text) > 60:
            return None
        lower = {word.lower(): word for word in known}
        close = difflib.get_close_matches(self.text.lower(), lower, 1)
        return f"did you mean '{lower[close[0]]}'?" if close else None

    def operator_hint(self) -> str | None:
        """What to type where an operator of another language stands."""
        if self.text == ">" and self.at and self.texts[self.at - 1] == "<":
            return "write '!=' instead of '<>'"
        found = _OTHER_OPERATORS.get(self.text)
        return None if found is None else f"write '{found}'"

    def _found(self) -> str:
        if self.kind == END:
            return "end of text"
        text = shorten(self.text)
        if self.kind == STRING:
            return f"the string {shorten(text.splitlines()[0])}"
        return f"'{text}'"

    def _mistake(self, expected: str) -> str | None:
        """What to type instead, where the mistake is a common one."""
        following = self.kinds[self.at + 1] if self.kind != END else END
        if expected.startswith("':' after the argument") and self.kind != "=":
            return "arguments have names, as limit: 5; a computed value has an alias, as x: upper(name)"
        compared = elsewhere.comparison(self.text, expected, self.texts[self.at - 1])
        if compared is not None:
            return compared
        if self.kind == "=" and expected.startswith("':'"):
            return "write ':' instead of '='"
        if self.kind == "/" and following in ("/", "*"):
            return "a comment begins with '#'"
        if self.kind == "-" and following == "-":
            return "a comment begins with '#'"
        return None

    def __repr__(self) -> str:
        return f"Cursor({self.text!r})"


__all__ = ["Cursor"]
