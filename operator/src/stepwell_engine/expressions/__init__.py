"""Expressions in definitions: bare CEL, and `${{ }}` templates around it.

`if`, `until` and the like are bare CEL. Every other string may hold templates: one whole `${{ e }}` keeps e's type,
text with templates in it interpolates, a string without any is itself. An expression sees `input`, `steps`, `event`
and `run` and nothing else; there is no clock, no randomness and no I/O in it, so the same journal always gives the
same value.

Everything that can be known beforehand is refused when a definition is read (`InvalidExpression`): what does not
parse, unknown names and functions, steps that are not named literally. What depends on data fails the step that
needed the value (`ExpressionError`, which names the place, the reason and a way out). An expression can't stall the
process: its length, its depth and the work of its loops are bounded before it runs.
"""

from .evaluate import Expression, compile_expression
from .failure import ExpressionError, InvalidExpression
from .references import Reference
from .template import expressions_in, render, render_url

__all__ = [
    "Expression",
    "ExpressionError",
    "InvalidExpression",
    "Reference",
    "compile_expression",
    "expressions_in",
    "render",
    "render_url",
]
