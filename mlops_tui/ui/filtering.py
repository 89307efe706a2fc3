"""The filter language of a pane: plain words and `key:value`, all of which must match."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

Fields = Mapping[str, tuple[str, ...]]
"""What `key:value` looks at: the values by key, lower case."""
LIMIT = 200
"""Characters of a filter that are read: what is pasted by mistake is not searched for in every row."""
STATES = ("is", "status")
"""Keys whose values are states, which may be typed with `_` for a blank, as GitHub writes them."""
_KEY_LIMIT = 20
"""Characters of a key that are repeated when it is not known."""


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

    def matches(self, text: Callable[[], str], fields: Callable[[], Fields]) -> bool:
        """Say whether a row with this visible text, lower case, and these fields passes; asks for what it looks at."""
        if self.words:
            visible = text()
            for word in self.words:
                if word not in visible:
                    return False
        if self.terms:
            known = fields()
            for key, value in self.terms:
                if not has_value(known, key, value):
                    return False
        return True

    def narrows(self, other: "Filter") -> bool:
        """Say whether whatever passes this filter is sure to pass `other`."""
        words = all(any(word in mine for mine in self.words) for word in other.words)
        terms = all(any(key == k and v.startswith(value) for k, v in self.terms) for key, value in other.terms)
        return words and terms


def has_value(fields: Fields, key: str, value: str) -> bool:
    """Say whether one of the field's values is as `key:value` asks for; `is:` wants the start of a word."""
    found = fields.get(key, ())
    if value in found:
        return True
    return any(one.startswith(value) for one in found) if key == "is" else any(value in one for one in found)


def state(value: str) -> str:
    """Return a state as it is compared: lower case, with blanks."""
    return value.lower().replace("_", " ")


def parse_filter(text: str, keys: Iterable[str]) -> Filter:
    """Read what was typed.

    A `key:` that is not one of `keys` is named in the result's `problem` and hides nothing; `key:` without a value
    yet hides nothing either, so that typing on does not empty the pane.
    """
    known = tuple(keys)
    whole, text = text.strip(), text.strip()[:LIMIT]
    words: list[str] = []
    terms: list[tuple[str, str]] = []
    problem = f"only the first {LIMIT} characters of a filter count" if len(whole) > LIMIT else ""
    for part in text.lower().split():
        key, colon, value = part.partition(":")
        if not colon or not key.isalpha():
            words.append(part)
        elif key not in known:
            near = next(iter(difflib.get_close_matches(key, known, n=1, cutoff=0.5)), "")
            instead = f", did you mean {near}:?" if near else f"; there are {' '.join(known)}"
            problem = f'no key "{clip(key, _KEY_LIMIT)}:" here{instead}'
        elif value:
            terms.append((key, state(value) if key in STATES else value))
    return Filter(text, tuple(dict.fromkeys(words)), tuple(dict.fromkeys(terms)), problem)


def clip(text: str, limit: int) -> str:
    """Return at most `limit` characters of what was typed, to be repeated in a message."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
