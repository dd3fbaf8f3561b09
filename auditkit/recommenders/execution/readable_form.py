"""Is the form of the answers readable? If not, texts without a match are not evidence of invention.

If a fifth of all listed items have no match, a sample of them is examined. The form counts as
unreadable if at least half of the sample match after a repair, or have no match for a common
reason: they are codes of another system, sentences, or placeholders.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from urllib.parse import unquote_plus

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.linking.item_codes import code_shape, is_code
from auditkit.catalog.linking.normalize import fold, full_key
from auditkit.catalog.linking.short_titles import rows_of_short_title
from auditkit.catalog.linking.title_linker import EXACT
from auditkit.recommenders.prompting.comments import looks_like_comment
from auditkit.recommenders.prompting.item_fields import is_item_field
from auditkit.types import RankedItem

__all__ = ["unreadable_form"]

_LEAST_SHARE = 0.2  # of all items, without a match
_LEAST_ITEMS = 10
_MOST_EXAMINED = 300
_BLANK = frozenset(("n", "a", "unknown", "none", "null", "number", "option", "unbekannt", "nummer"))
_LONGEST = 300  # letters
_LEAST_SHARED = 3  # words; one or two may make a sequel or an edition of every title
_SENTENCE = 14  # words
_N_TITLES = 1_000  # sample of the catalog's own titles
_UNMATCHED = ("none", "near_miss", "empty")
_MARKUP = re.compile(r"[|;<>{}=\t`]+|\*\*")
_MARKS = re.compile(
    r"[|;<>\[\](){}=\t\"\u201c\u201d\u201e*`]+|\s[-\u2013\u2014/\u2192~]+\s|,\s|:\s"
    r"|[^\w\s'&.!?+-]{2,}"
)
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})")
_CUT = re.compile(r"\s*\S*(?:\u2026|\.\.\.)$")
_REMEDY = (
    "Ask for one title per line or for JSON with a `title` or `id` field, or declare the form; see "
    "docs/how-to/audit-an-endpoint.md"
)


def unreadable_form(lists: Iterable[Sequence[RankedItem]], catalog: Catalog) -> str | None:
    """Why unmatched items of these responses must not be counted as invented (unreadable form).

    Args:
        lists: the items of all responses, after linking.

    Returns:
        The reason, with numbers and a remedy; None if the form is readable.
    """
    items = [item for listed in lists for item in listed if item.link != "ambiguous"]
    unmatched = [item for item in items if item.item_id is None and item.link in _UNMATCHED]
    raws = [item.raw[:_LONGEST] for item in unmatched]  # a longer text is not a title
    if len(raws) < max(_LEAST_ITEMS, _LEAST_SHARE * len(items)):
        return None
    texts = list(dict.fromkeys(raws))
    texts = texts[:: -(-len(texts) // _MOST_EXAMINED)]
    found = _common_fault(texts, raws, catalog) or _repaired(texts, catalog)
    if found is None:
        return None
    return (
        f"unreadable form: {len(raws)} of {len(items)} items match no title of the catalog, and "
        f"{found}, for example {texts[0][:80]!r}. {_REMEDY}."
    )


def _common_fault(texts: Sequence[str], raws: Sequence[str], catalog: Catalog) -> str | None:
    """Describe a property of most texts that titles of this catalog do not have; None without
    one.
    """
    titles = [catalog.items[row].title for row in range(0, len(catalog), _step(len(catalog)))]
    codes = [text.strip() for text in texts if _is_only_code(text)]
    foreign = [code for code in codes if code_shape(code) not in catalog.id_shapes]
    if len(foreign) * 2 >= len(texts) and not _most(titles, _is_only_code):
        return (
            f"{len(foreign)} of {len(texts)} examined texts are codes, but not in the form of the "
            "catalog's ids"
        )
    if len(codes) * 2 >= len(texts):
        return None
    blank = sum(map(_is_placeholder, raws))
    if blank * 2 >= len(raws):
        return f"{blank} of them are placeholders without a name"
    longest = sorted(len(title.split()) for title in titles)[int(len(titles) * 0.99)]
    if _most(texts, lambda text: len(text.split()) > max(_SENTENCE, 3 * longest)):
        return f"most of them are sentences, but the longest titles have {longest} words"
    if _most(texts, _is_one_word) and not _most(titles, _is_one_word):
        return "most of them have one word, but most titles of the catalog have several"
    return None


def _repaired(texts: Sequence[str], catalog: Catalog) -> str | None:
    """Describe the repair after which most texts match exactly; None without one."""
    shared = _shared_words(texts)
    if len(shared) < _LEAST_SHARED:
        shared = set()
    repairs: dict[str, Callable[[str], Iterable[str]]] = {
        "a part of the text is a title": _parts,
        "the text without the words that most of them share is a title": lambda text: [
            " ".join(word for word in text.split() if word.casefold() not in shared)
        ],
        "the decoded text is a title": _decoded,
        "the text without its words in lower case is a title": lambda text: [
            " ".join(word for word in text.split() if not word[:1].islower())
        ],
    }
    for what, repair in repairs.items():
        tried = [
            (number, other)
            for number, text in enumerate(texts)
            for other in dict.fromkeys(repair(text))
            if other and full_key(other) != full_key(text)
        ]
        links = catalog.link([other for _, other in tried]) if tried else []
        matched = {n for (n, _), link in zip(tried, links, strict=True) if link.reason in EXACT}
        if len(matched) * 2 >= len(texts):
            return f"in {len(matched)} of {len(texts)} examined texts {what}"
    short = sum(_is_part_of_a_title(text, catalog) for text in texts)
    if short * 2 >= len(texts):
        return f"{short} of {len(texts)} examined texts are part of a longer title"
    return None


def _parts(text: str) -> Iterable[str]:
    """Parts of a text that may be titles: several words between formatting marks or next to a
    comment.

    What follows a comma, colon, dash or bracket and does not read like a comment may be an invented
    subtitle or variant, so it is not a fault of the form.
    """
    for parts in (_MARKUP.split(text), _MARKS.split(text)):
        parts = [part.strip() for part in parts if part.strip()]
        formatted = bool(_MARKUP.search(text.strip()))
        for place, part in enumerate(parts):
            others = parts[:place] + parts[place + 1 :]
            several = len(fold(part)) > 1 or is_code(part)
            if several and others and (formatted or any(map(looks_like_comment, others))):
                yield part


def _decoded(text: str) -> Iterable[str]:
    unquoted = unquote_plus(text)
    yield from (unquoted, *_parts(unquoted))
    yield _ESCAPED.sub(lambda match: chr(int(match[1] or match[2], 16)), text)
    for encoding in ("latin-1", "cp1252"):
        try:
            yield text.encode(encoding).decode("utf-8")
        except UnicodeError:
            continue


def _shared_words(texts: Sequence[str]) -> set[str]:
    """Words that most texts contain."""
    counts = Counter(word for text in texts for word in set(text.casefold().split()))
    return {word for word, count in counts.items() if count * 2 > len(texts)}


def _is_part_of_a_title(text: str, catalog: Catalog) -> bool:
    key = full_key(_CUT.sub("", text))
    return bool(rows_of_short_title(catalog.linker.index, key))


def _is_placeholder(text: str) -> bool:
    """Whether a text consists only of generic words, as in "Product 3"."""
    words = re.findall(r"[^\W\d_]+", text)
    return all(is_item_field(word) or word.casefold() in _BLANK for word in words)


def _is_only_code(text: str) -> bool:
    return _is_one_word(text) and is_code(text.strip())


def _is_one_word(text: str) -> bool:
    return len(text.split()) == 1 and "@" not in text  # an address is an invented item


def _most(texts: Sequence[str], holds: Callable[[str], bool]) -> bool:
    return sum(map(holds, texts)) * 2 > len(texts)


def _step(n: int) -> int:
    return max(1, n // _N_TITLES)
