"""Tables that measurements write into benches/README.md, between markers with their name."""

from collections.abc import Sequence
from pathlib import Path

PAGE = Path("benches/README.md")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown; all columns but the first are numbers."""
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def rewrite(name: str, text: str) -> None:
    """Puts the text in place of what stands between the markers."""
    begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->\n"
    before, rest = PAGE.read_text(encoding="utf-8").split(begin)
    _, after = rest.split(end)
    PAGE.write_text(f"{before}{begin}{text}{end}{after}", encoding="utf-8")
