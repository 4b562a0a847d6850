"""The parser's place in the tokens: one token at a time, and errors that say what was expected.

A cursor never goes back. It never passes the `END` token, for only a token of a known other kind
is taken.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from aurora_db.aql.syntax import Name
from aurora_db.aql.tokens import BLOCK, END, NAME, STRING, Token, shorten, tokenize
from aurora_db.base.errors import AqlSyntaxError, DuplicateArgument, Span, Unsupported


class Cursor:
    """Where the parser is: `token` is the next one, `kind` its kind."""

    __slots__ = ("_index", "_tokens", "kind", "source", "token")

    def __init__(self, source: str) -> None:
        self.source = source
        self._tokens = tokenize(source)
        self._index = 0
        self.token = self._tokens[0]
        self.kind = self.token.kind

    # --- moving ---------------------------------------------------------------------------

    def advance(self) -> Token:
        """Take the next token, whatever it is."""
        taken = self.token
        self._index += 1
        self.token = self._tokens[self._index]
        self.kind = self.token.kind
        return taken

    def split_sign(self) -> None:
        """Part the next token, a number with a sign, into a `-` and the number.

        Only for a cursor that is past an operand: there the sign is an operator.
        """
        signed = self.token
        minus = Token("-", "-", signed.start, signed.start + 1)
        number = Token(signed.kind, signed.text[1:], signed.start + 1, signed.end)
        self._tokens[self._index : self._index + 1] = [minus, number]
        self.token = minus
        self.kind = minus.kind

    def skip(self, kind: str) -> bool:
        """Take the next token if it is of this kind; tells whether it was."""
        if self.kind != kind:
            return False
        self.advance()
        return True

    def expect(self, kind: str, what: str) -> Token:
        """Take the next token, which must be of this kind; `what` names it in the error."""
        if self.kind != kind:
            raise self.expected(what)
        return self.advance()

    def name(self, what: str) -> Name:
        """Take a name; `what` says whose."""
        token = self.expect(NAME, what)
        return Name(token.text, span=token.span)

    def at_word(self, word: str) -> bool:
        """Whether the next token is this name."""
        return self.kind == NAME and self.token.text == word

    def expect_word(self, word: str, before: str) -> Token:
        """Take this very name, which must stand after `before`."""
        if not self.at_word(word):
            raise self.expected(f"'{word}' after '{before}'")
        return self.advance()

    def one_of(self, after: str, words: tuple[str, ...]) -> str:
        """Take one of `words`, which must stand after `after`."""
        if self.kind != NAME or self.token.text not in words:
            choice = " or ".join(f"'{word}'" for word in words)
            raise self.expected(f"{choice} after '{after}'", self.near(words))
        return self.advance().text

    def close(self, closing: str, opener: Token, item: str, what: str) -> Token:
        """Take the bracket that closes `what`; `item` is what else could stand here."""
        if self.kind == closing:
            return self.advance()
        if self.kind == END:
            expected = f"'{closing}' to close {what}"
        else:
            expected = f"{item} or '{closing}' to close {what}"
        hint = self._mistake(expected)
        line = self.source.count("\n", 0, opener.start) + 1
        raise self.expected(expected, hint or f"'{opener.text}' was opened on line {line}")

    def following(self, count: int) -> Token:
        """The token that comes `count` after the next one."""
        return self._tokens[min(self._index + count, len(self._tokens) - 1)]

    def since(self, start: int) -> Span:
        """From `start` to the end of the token taken last."""
        return Span(start, self._tokens[self._index - 1].end)

    # --- refusing -------------------------------------------------------------------------

    def expected(self, what: str, hint: str | None = None) -> AqlSyntaxError:
        """The error that `what` was expected where the next token is."""
        hint = hint or self._mistake(what)
        return self.error(f"expected {what}, found {self._found()}", self.token.span, hint)

    def error(self, message: str, span: Span, hint: str | None = None) -> AqlSyntaxError:
        """An error at `span`."""
        return AqlSyntaxError(message, hint=hint, source=self.source, span=span)

    def unsupported(self, subject: str, start: int, hint: str | None = None) -> Unsupported:
        """The error that a known construct, from `start` to here, is not there yet.

        `subject` is its name with the verb, as "subscriptions are".
        """
        message = f"{subject} not supported by this version"
        return Unsupported(message, hint=hint, source=self.source, span=self.since(start))

    def duplicate(self, what: str, span: Span) -> DuplicateArgument:
        """The error that `what` stands at `span` for the second time."""
        message = f"{what} stands twice"
        hint = "keep one of them"
        return DuplicateArgument(message, hint=hint, source=self.source, span=span)

    def near(self, known: Iterable[str]) -> str | None:
        """A hint that the next token may be a misspelt one of `known`."""
        if self.kind != NAME or len(self.token.text) > 60:
            return None
        lower = {word.lower(): word for word in known}
        close = difflib.get_close_matches(self.token.text.lower(), lower, 1)
        return f"did you mean '{lower[close[0]]}'?" if close else None

    def _found(self) -> str:
        if self.kind == END:
            return "end of text"
        text = shorten(self.token.text)
        if self.kind in (STRING, BLOCK):
            return f"the string {shorten(text.splitlines()[0])}"
        return f"'{text}'"

    def _mistake(self, expected: str) -> str | None:
        """What to type instead, where the mistake is a common one."""
        if self.kind == "=" and expected.startswith("':'"):
            return "write ':' instead of '='"
        if self.kind == "/" and self.following(1).kind in ("/", "*"):
            return "a comment begins with '#'"
        if self.kind == "-" and self.following(1).kind == "-":
            return "a comment begins with '#'"
        return None

    def __repr__(self) -> str:
        return f"Cursor({self.token!r})"


__all__ = ["Cursor"]
