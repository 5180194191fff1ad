"""Databricks SQL as sqlglot parses it, but with every function left as it was called.

sqlglot turns calls into its own classes and translates arguments on the way (time formats, index bases, casts), which loses what the
caller wrote.  The compiler knows functions by their Databricks names, so here only those calls keep a grammar of their own that have
words between their arguments (`CAST(x AS INT)`, `TRIM(BOTH 'x' FROM y)`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from sqlglot import exp
from sqlglot.dialects.databricks import Databricks
from sqlglot.parsers.databricks import DatabricksParser
from sqlglot.tokenizer_core import TokenType

if TYPE_CHECKING:
    from collections.abc import Callable

_WORDY = ("CAST", "TRY_CAST", "EXTRACT", "TRIM", "POSITION", "SUBSTRING", "OVERLAY")
_WITHOUT_PARENTHESES = ("CASE", "IF", "ANY", "CURDATE")


class DatabricksGrammar(Databricks):
    """The dialect in which all statements are parsed."""

    class Tokenizer(Databricks.Tokenizer):
        """`'it''s'` is one text; runtimes before Spark 4 read two adjacent ones there."""

        STRING_ESCAPES = ["'", '"', "\\"]  # noqa: RUF012  # sqlglot's class attribute; its metaclass reads it once.

    class Parser(DatabricksParser):
        """Functions stay what they are called."""

        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
            **{name: DatabricksParser.FUNCTION_PARSERS[name] for name in _WORDY},
            "SUBSTR": DatabricksParser.FUNCTION_PARSERS["SUBSTRING"],
        }
        NO_PAREN_FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
            name: DatabricksParser.NO_PAREN_FUNCTION_PARSERS[name] for name in _WITHOUT_PARENTHESES
        }

        ARRAY_CONSTRUCTORS: ClassVar[dict[str, Any]] = {}
        """`array(1, 2)[0]` is an element, not a new array."""

        def _parse_term(self, parse_mod: bool = True) -> exp.Expr | None:
            """`+`, `-` and `||` bind alike, as in the grammar of Spark; sqlglot lets `||` bind weaker."""
            this: exp.Expr | None = super()._parse_term(parse_mod=parse_mod)
            while self._match(TokenType.DPIPE):
                right = self._parse_factor(parse_mod=parse_mod)
                this = self.expression(exp.DPipe(this=this, expression=right, safe=True))
                while self._match_set(self.TERM):
                    kind = self.TERM[self._prev.token_type]
                    this = self.expression(kind(this=this, expression=self._parse_factor(parse_mod=parse_mod)))
            return this

        def _parse_bitwise(self) -> exp.Expr | None:
            """Shifts bind tighter than `&`, that tighter than `^`, that tighter than `|`; sqlglot binds them alike."""
            return self._binary(TokenType.PIPE, exp.BitwiseOr, self._parse_xor)

        def _parse_xor(self) -> exp.Expr | None:
            return self._binary(TokenType.CARET, exp.BitwiseXor, self._parse_and_bits)

        def _parse_and_bits(self) -> exp.Expr | None:
            return self._binary(TokenType.AMP, exp.BitwiseAnd, self._parse_shift)

        def _binary(self, token: TokenType, kind: type[exp.Binary], operand: Callable[[], exp.Expr | None]) -> exp.Expr | None:
            this = operand()
            while self._match(token):
                this = self.expression(kind(this=this, expression=operand()))
            return this

        def _parse_shift(self) -> exp.Expr | None:
            this = self._parse_term()
            while True:
                if self._match_pair(TokenType.LT, TokenType.LT):
                    this = self.expression(exp.BitwiseLeftShift(this=this, expression=self._parse_term()))
                elif self._match_pair(TokenType.GT, TokenType.GT):
                    this = self.expression(exp.BitwiseRightShift(this=this, expression=self._parse_term()))
                else:
                    return this
