"""A reader of tokens for the statements that are read here and not by sqlglot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot.tokenizer_core import Token, TokenType

from insjo.kernel.errors import did_you_mean
from insjo.sql.errors import InvalidIdentifier
from insjo.sql.parsing.constants import ParameterValues, constant_text
from insjo.sql.parsing.grammar import parse_tree, syntax_error, tokenize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlglot import exp

    from insjo.sql.errors import SyntaxInvalid
    from insjo.sql.parsing.nodes import NamePath

_NAME_PARTS_MAX = 3
_STRINGS = (TokenType.STRING, TokenType.RAW_STRING)
_MARKS = frozenset("(),.;=:<>+-*/|&^~!?[]{}@$%")
_OPENING, _CLOSING = (TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.LT), (TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.GT)


class Cursor:
    """Moves over the tokens of one statement from left to right."""

    def __init__(self, text: str, tokens: Sequence[Token], parameters: ParameterValues) -> None:
        """Stand before the first token."""
        self.text = text
        self.tokens = list(tokens)
        self.parameters = parameters
        self.index = 0

    @staticmethod
    def over(text: str, parameters: ParameterValues) -> Cursor:
        """Cursor on a text, without a closing semicolon."""
        tokens = tokenize(text)
        while tokens and tokens[-1].token_type is TokenType.SEMICOLON:
            tokens.pop()
        return Cursor(text, tokens, parameters)

    @property
    def at_end(self) -> bool:
        """Whether all tokens are read."""
        return self.index >= len(self.tokens)

    def peek(self, ahead: int = 0) -> Token | None:
        """The token at some distance, without moving."""
        at = self.index + ahead
        return self.tokens[at] if at < len(self.tokens) else None

    def word(self, ahead: int = 0) -> str:
        """The word at some distance in upper case; empty for texts, quoted names and the end."""
        token = self.peek(ahead)
        if token is None or token.token_type in _STRINGS or token.token_type is TokenType.IDENTIFIER:
            return ""
        return str(token.text).upper()

    def looks_at(self, *words: str) -> bool:
        """Whether these words come next."""
        return all(self.word(ahead) == each for ahead, each in enumerate(words))

    def accept(self, *words: str) -> bool:
        """Move over these words if they come next."""
        if not self.looks_at(*words):
            return False
        self.index += len(words)
        return True

    def accept_phrase(self, *phrases: str) -> bool:
        """Move over the first of these phrases that comes next."""
        return any(self.accept(*phrase.split()) for phrase in phrases)

    def expect(self, *words: str) -> None:
        """Move over these words, or raise SyntaxInvalid."""
        for each in words:
            if not self.accept(each):
                raise self.error(f"`{each}`")

    def accept_any(self, *words: str) -> str:
        """Move over one of these words and return it, or return an empty text."""
        found = self.word()
        if found and found in words:
            self.index += 1
            return found
        return ""

    def error(self, expected: str = "", hint: str = "") -> SyntaxInvalid:
        """Error at the current token."""
        token = self.peek()
        if token is None:
            return syntax_error(self.text, len(self.text), 0, expected, hint)
        return syntax_error(self.text, token.start, token.end - token.start + 1, expected, hint)

    def one_of(self, words: Sequence[str]) -> str:
        """Move over one of these words, or raise SyntaxInvalid with the nearest of them."""
        found = self.accept_any(*words)
        if not found:
            raise self.error(" or ".join(f"`{each}`" for each in words[:6]), did_you_mean(self.word(), words))
        return found

    def end(self) -> None:
        """Raise SyntaxInvalid unless all is read."""
        if not self.at_end:
            raise self.error("the end of the statement")

    def at_string(self) -> bool:
        """Whether a text comes next."""
        token = self.peek()
        return token is not None and token.token_type in _STRINGS

    def at_name(self) -> bool:
        """Whether a name comes next."""
        token = self.peek()
        if token is None or token.token_type in _STRINGS or token.token_type is TokenType.NUMBER:
            return False
        return token.token_type is TokenType.IDENTIFIER or (bool(token.text) and not set(token.text) & _MARKS)

    def string(self) -> str:
        """A text in quotes, or a parameter that holds one."""
        token = self.peek()
        if token is not None and token.token_type in _STRINGS:
            self.index += 1
            return str(token.text)
        if self.looks_at(":") and self.peek(1) is not None:
            name = self.tokens[self.index + 1].text
            self.index += 2
            return self.parameters.text_of(name)
        raise self.error("a text in quotes")

    def number(self) -> int:
        """A whole number."""
        negative = self.accept("-")
        token = self.peek()
        if token is None or token.token_type is not TokenType.NUMBER or not token.text.isdigit():
            raise self.error("a whole number")
        self.index += 1
        return -int(token.text) if negative else int(token.text)

    def name(self) -> str:
        """One part of a name; `IDENTIFIER('...')` is not possible here."""
        if not self.at_name():
            raise self.error("a name")
        token = self.tokens[self.index]
        self.index += 1
        return str(token.text)

    def path(self, parts_max: int = _NAME_PARTS_MAX) -> NamePath:
        """A name of up to three parts, or `IDENTIFIER(<constant text>)`."""
        if self.looks_at("IDENTIFIER", "("):
            self.index += 1
            inner = self.parenthesised()
            parts = split_name(constant_text(parse_tree(inner), self.parameters, "IDENTIFIER"))
        else:
            names = [self.name()]
            while self.accept("."):
                names.append(self.name())
            parts = tuple(names)
        if len(parts) > parts_max:
            message = f"`{'.'.join(parts)}` has {len(parts)} parts, and here a name has at most {parts_max}."
            raise InvalidIdentifier(message)
        return parts

    def parenthesised(self) -> str:
        """The text between the parenthesis that comes next and its partner."""
        opening = self.peek()
        self.expect("(")
        assert opening is not None  # noqa: S101  # `expect` raised otherwise.
        depth = 1
        while not self.at_end:
            token = self.tokens[self.index]
            self.index += 1
            if token.token_type is TokenType.L_PAREN:
                depth += 1
            elif token.token_type is TokenType.R_PAREN:
                depth -= 1
                if depth == 0:
                    return self.text[opening.end + 1 : token.start]
        raise self.error("`)`")

    def until(self, *stops: str) -> str:
        """The text up to a comma, a closing parenthesis or one of the words at this depth; angle brackets count as depth."""
        start = self.peek()
        depth = 0
        last = start
        while (token := self.peek()) is not None:
            if depth == 0 and (token.token_type in (TokenType.COMMA, TokenType.R_PAREN) or self.word() in stops):
                break
            if token.token_type in _OPENING:
                depth += 1
            elif token.token_type in _CLOSING:
                depth -= 1
            elif token.token_type is TokenType.NEQ and token.text == "<>":  # `STRUCT<>`.
                depth += 0
            last = token
            self.index += 1
        if start is None or last is None or self.peek() is start:
            raise self.error()
        return self.text[start.start : last.end + 1]

    def before(self, word: str) -> str:
        """The text up to a word, or to the end."""
        start = self.peek()
        first = self.index
        while not self.at_end and self.word() != word:
            self.index += 1
        if start is None or self.index == first:
            raise self.error()
        return self.text[start.start : self.tokens[self.index - 1].end + 1]

    def rest(self) -> str:
        """All text from here to the end, without a closing semicolon; moves to the end."""
        token = self.peek()
        if token is None:
            return ""
        text = self.text[token.start : self.tokens[-1].end + 1]
        self.index = len(self.tokens)
        return text

    def rest_tree(self) -> exp.Expr:
        """Tree of all that follows."""
        token = self.peek()
        if token is None:
            raise self.error("a query")
        return parse_tree(self.rest(), offset_in=self.text, offset=token.start)


def split_name(text: str) -> NamePath:
    """Parts of a name in a text, with backticks as in SQL."""
    cursor = Cursor.over(text, ParameterValues(()))
    if cursor.at_end:
        message = f"`{text}` is not a name."
        raise InvalidIdentifier(message)
    names = [cursor.name()]
    while cursor.accept("."):
        names.append(cursor.name())
    cursor.end()
    return tuple(names)
