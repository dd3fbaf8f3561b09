"""A clause with the lookups that the rules share: cue phrases near a value, and negations."""

from __future__ import annotations

from collections.abc import Sequence

from auditkit.claims.typed.candidates import Candidate
from auditkit.claims.typed.clauses import Clause
from auditkit.claims.typed.language import PhraseSet, grammar, phrase_set
from auditkit.claims.typed.vocabulary import Known, OwnWords, Vocabulary
from auditkit.domains.pack import Language

__all__ = ["MARKS", "Scope"]

MARKS = frozenset((".", ",", "!", ":", "\n", "-", '"', "'", "\u201c", "\u201d", "\u201e", "*"))
_LONGEST_CUE = 6  # words
_FARTHEST = 12  # words between a cue phrase and its value


class Scope:
    """A clause with the lookups that the rules share.

    Attributes:
        items: words that denote the item.
        names: words of the pack that denote the item.
        follows, heading: last words of preceding clauses, as in `Clause`.
        negators: (index of the first word, end of the scope) of every negation.
        taken: predicate of each accepted value, by the index of each of its words.
        valued: indices of the words of values other than categories.
        titles: indices of words before which a title was removed.
        parts: words that denote parts of items.
        own: words of the item's titles and categories.
    """

    def __init__(
        self,
        clause: Clause,
        candidates: Sequence[Candidate],
        vocabulary: Vocabulary,
        language: Language,
        own: OwnWords,
    ) -> None:
        self.words, self.language = clause.words, language
        self.items, self.parts, self.own = vocabulary.item_words, vocabulary.parts, own
        self.titles = clause.titles
        self.names = vocabulary.pack_words
        self.follows, self.heading = clause.follows, clause.heading
        values = [c for c in candidates if any(o.known not in vocabulary.kinds for o in c.options)]
        self.valued = frozenset(at for one in values for at in range(one.first, one.end))
        self.joins = frozenset(grammar(language, "joins"))
        self.fillers = frozenset(grammar(language, "fillers"))
        self._easy = (self.fillers, self.joins, self.items, MARKS)
        self.negators = self._negators()
        self.taken: dict[int, Known] = {}

    def lower(self, place: int) -> str:
        """Word at index `place` in lower case; "" outside the clause."""
        return self.words[place].lower if 0 <= place < len(self.words) else ""

    def _negators(self) -> list[tuple[int, int]]:
        excused = {
            place
            for name in ("excused", "replaced")
            for begin, end in phrase_set(self.language, name).places(self.words)
            for place in range(begin, end)
        }
        found = phrase_set(self.language, "negators").places(self.words)
        return [(begin, end) for begin, end in found if begin not in excused]

    def ends_before(self, phrases: PhraseSet, place: int) -> bool:
        """Whether a phrase ends right before the word at index `place`."""
        return any(
            phrases.at(self.words, begin) == place - begin
            for begin in range(max(0, place - _LONGEST_CUE), place)
        )

    def steps_back(self, known: Known, candidate: Candidate) -> int:
        """Number of words from the value back to the end of a cue phrase before it; 0 without
        one.
        """
        cues, at, skipped = known.cues(self.language, "before"), candidate.first, 0
        most = 1 if known.is_label else 2
        while at > 0 and candidate.first - at < _FARTHEST:
            if self.ends_before(cues, at):
                return candidate.first - at + 1
            word = self.words[at - 1].lower
            easy = any(word in known_words for known_words in self._easy)
            if not easy and self.taken.get(at - 1) is not known:
                skipped += 1
                if skipped > most or (at - 1) in self.taken:
                    return 0
            at -= 1
        return 0

    def cue_begin(self, known: Known, candidate: Candidate) -> int:
        """Index of the first word of the cue phrase before the value or, without one, of the
        value.
        """
        steps = self.steps_back(known, candidate)
        if not steps:
            return candidate.first
        end, cues = candidate.first - steps + 1, known.cues(self.language, "before")
        begins = range(max(0, end - _LONGEST_CUE), end)
        return next(at for at in begins if cues.at(self.words, at) == end - at)

    def numeric(self, candidate: Candidate) -> bool:
        """Whether a value contains a number."""
        words = self.words[candidate.first : candidate.end]
        return any(word.lower.isdigit() for word in words)

    def is_noun_value(self, candidate: Candidate) -> bool:
        """Whether a value is capitalized, which in German distinguishes nouns from adjectives."""
        return self.words[candidate.first].raw[0].isupper()

    def cue_follows(self, known: Known, candidate: Candidate) -> bool:
        """Whether a cue phrase follows the value, with at most two filler words in between."""
        cues = known.cues(self.language, "after")
        for at in range(candidate.end, min(candidate.end + 3, len(self.words))):
            if cues.at(self.words, at):
                return True
            if self.lower(at) not in self.fillers and self.lower(at) not in MARKS:
                return at == candidate.end and bool(
                    at + 1 < len(self.words) and cues.at(self.words, at + 1)
                )
        return False

    def is_apart(self, known: Known, candidate: Candidate) -> bool:
        """Whether a phrase within three words of the value assigns it to something other than the
        item.
        """
        begin, end = max(0, candidate.first - 4), min(len(self.words), candidate.end + 3)
        phrases = known.cues(self.language, "apart")
        return any(
            phrases.at(self.words, at)
            for at in range(begin, end)
            if not candidate.first <= at < candidate.end
        )
