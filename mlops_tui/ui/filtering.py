"""The filter language of a pane: plain words and `key:value`, all of which must match."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Fields = Mapping[str, tuple[str, ...]]
"""What `key:value` looks at: the values by key, lower case."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter as it was understood.

    Attributes:
        text: What was typed.
        words: Lower-case words, each to be found in the row's visible text.
        terms: Lower-case pairs of key and value.
        problem: What was not understood, in words; empty if all was.
    """

    text: str = ""
    words: tuple[str, ...] = ()
    terms: tuple[tuple[str, str], ...] = ()
    problem: str = ""

    def __bool__(self) -> bool:
        return bool(self.words or self.terms)

    def matches(self, text: str, fields: Fields) -> bool:
        """Say whether a row with this visible text, lower case, and these fields passes."""
        return all(word in text for word in self.words) and all(
            any(value in found for found in fields.get(key, ())) for key, value in self.terms
        )


def parse_filter(text: str, keys: Iterable[str]) -> Filter:
    """Read what was typed.

    A `key:` that is not one of `keys` is named in the result's `problem` and hides nothing; `key:` without a value
    yet hides nothing either, so that typing on does not empty the pane.
    """
    known = tuple(keys)
    words: list[str] = []
    terms: list[tuple[str, str]] = []
    problem = ""
    for part in text.lower().split():
        key, colon, value = part.partition(":")
        if not colon or not key.isalpha():
            words.append(part)
        elif key not in known:
            near = next(iter(difflib.get_close_matches(key, known, n=1, cutoff=0.5)), "")
            instead = f", did you mean {near}:?" if near else f"; there are {' '.join(known)}"
            problem = f'no key "{key}:" here{instead}'
        elif value:
            terms.append((key, value))
    return Filter(text.strip(), tuple(words), tuple(terms), problem)
