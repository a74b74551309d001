"""What can be wrong with an expression: before it runs, and while it runs."""

from ..errors import StepwellError


class InvalidExpression(ValueError):
    """An expression that can be refused without running it. `fix` says what to write instead."""

    def __init__(self, reason: str, *, fix: str) -> None:
        super().__init__(f"{reason}: {fix}")
        self.reason = reason
        self.fix = fix


class ExpressionError(StepwellError):
    """An expression that failed on the data it was given. Trying again can't help: the journal holds the same data.

    `path` is the field of the definition that holds the expression, such as "steps[2].with.orderId".
    """

    status = 400
    code = "ExpressionFailed"

    def __init__(self, reason: str, *, source: str, path: str = "") -> None:
        shown = source if len(source) <= 200 else source[:199] + "…"
        super().__init__(f"{path + ': ' if path else ''}{reason} (in the expression {shown!r})")
        self.reason = reason
        self.source = source
        self.path = path

    def at(self, path: str) -> "ExpressionError":
        """The same failure, with the place that a caller further out knows."""
        return ExpressionError(self.reason, source=self.source, path=path)
