"""Bars as an SVG, for a README or a pull request."""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

WIDTH, LABEL, BAR, GAP = 860, 260, 22, 8
OURS, THEIRS = "#0f766e", "#94a3b8"
TOP = 76


@dataclass(frozen=True, slots=True)
class Bars:
    """A group of bars: (name, value, the value as it is written)."""

    title: str
    bars: tuple[tuple[str, float, str], ...]

    @property
    def height(self) -> int:
        return 44 + len(self.bars) * (BAR + GAP)


def draw(title: str, groups: tuple[Bars, ...], *, below: str) -> str:
    """`below`: what stands under the title."""
    height = TOP + sum(group.height for group in groups)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(20, 34, title, size=18, weight=600),
        _text(20, 56, below, size=12),
    ]
    top = TOP
    for group in groups:
        lines += _group(group, top)
        top += group.height
    return "\n".join([*lines, "</svg>", ""])


def _group(group: Bars, top: int) -> Iterator[str]:
    yield _text(20, top + 18, group.title, size=13, weight=600)
    largest = max((value for _, value, _ in group.bars), default=1.0) or 1.0
    for index, (name, value, written) in enumerate(group.bars):
        y = top + 30 + index * (BAR + GAP)
        length = max(2.0, (WIDTH - LABEL - 120) * value / largest)
        colour = OURS if name.startswith("Stepwell") else THEIRS
        yield _text(20, y + 16, name, size=13)
        yield f'<rect x="{LABEL}" y="{y}" width="{length:.1f}" height="{BAR}" rx="4" fill="{colour}"/>'
        yield _text(LABEL + length + 8, y + 16, written, size=13)


def _text(x: float, y: float, text: str, *, size: int, weight: int = 400) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" fill="#0f172a">{escape(text)}</text>'
    )
