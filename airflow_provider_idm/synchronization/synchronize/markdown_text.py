"""Text from data inside Markdown: shown as it is, and never more than text.

GitHub, GitLab and Airflow render Markdown differently in the details, but all of them leave alone what stands in a code
span: no HTML, no link, no mention of a person, no reference to an issue. So whatever comes from data goes into one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

LONGEST = 60
"""Characters of one key, value or name; renderers give up on fences much longer than this."""

_END = 12
_SPACE = "\N{SYMBOL FOR SPACE}"
_HIDDEN = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode categories that are not shown as they are: controls, lone surrogates, line and paragraph ends."""
_INVISIBLE = frozenset("\u00ad\u061c\u200b\u200e\u200f\u2060\ufeff") | {
    chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
}
"""What hides in a text, or makes it run backwards."""
_PLAIN_WORD = re.compile(r"\(?[^\W\d_]+(?:['’-][^\W\d_]+)*\)?[,.:;!?]?|\d+(?:[.,]\d+)*[,:;]?|%[,.]?")


def visible(text: str) -> str:
    """Return a text in one line with everything to be seen: a line feed as ␊, a blank at either end as ␠."""
    shown = "".join(_shown(character) for character in text)
    inner = shown.strip(" ")
    if not inner:
        return _SPACE * len(shown)
    left = len(shown) - len(shown.lstrip(" "))
    right = len(shown) - len(shown.rstrip(" "))
    return f"{_SPACE * left}{inner}{_SPACE * right}"


def _shown(character: str) -> str:
    if character < " ":
        return chr(0x2400 + ord(character))
    if unicodedata.category(character) in _HIDDEN or character in _INVISIBLE:
        return f"<U+{ord(character):04X}>"
    return character


def shorten(text: str, longest: int = LONGEST) -> str:
    """Return a text of at most so many characters: what is too long loses its middle."""
    if len(text) <= longest:
        return text
    end = min(_END, longest // 2)
    return f"{text[: longest - end - 1]}…{text[len(text) - end :]}"


def code(text: str, longest: int = LONGEST) -> str:
    """Return a text from data as a code span; an empty one as *empty*."""
    shown = shorten(
        visible(text[: 4 * longest] + text[-longest:] if len(text) > 5 * longest else text), longest
    )
    if not shown:
        return "*empty*"
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    inner = f" {shown} " if shown[0] == "`" or shown[-1] == "`" else shown
    return f"{fence}{inner}{fence}"


def prose(text: str, longest: int = 500) -> str:
    """Return a sentence that may hold names from data: plain words stay words, everything else becomes a code span."""
    words = shorten(" ".join(text.split()), longest).split(" ")
    return " ".join(word if _PLAIN_WORD.fullmatch(word) else _code_word(word) for word in words if word)


def _code_word(word: str) -> str:
    """Return a word as a code span, a colon or the like behind it left outside."""
    end = word[-1] if len(word) > 1 and word[-1] in ",:;" else ""
    return f"{code(word.removesuffix(end))}{end}"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: int = 0) -> list[str]:
    """Return the lines of a table, the blank line behind it included.

    :param numbers: how many of the last columns are set to the right.
    """
    aligned = ["---"] * (len(columns) - numbers) + ["--:"] * numbers
    return [_row(columns), f"|{'|'.join(aligned)}|", *(_row(row) for row in rows), ""]


def more(number: int, one: str = "", many: str = "") -> list[str]:
    """Return the lines that say how much is not shown; none if everything is."""
    if number <= 0:
        return []
    what = one if number == 1 else many
    return [f"… and {number:,} more {what}".rstrip(), ""]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _cell(text: str) -> str:
    """Escape bars; renderers do not agree on a backslash before an escaped one, so that one is drawn otherwise."""
    return re.sub(r"\\(?=\|)", "\N{SET MINUS}", text).replace("|", r"\|")
