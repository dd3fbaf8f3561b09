"""A clause with the lookups that the rules share: cue phrases near a value, and negations."""

from __future__ import annotations

from auditkit.claims.typed.candidates import Candidate
from auditkit.claims.typed.clauses import Clause
from auditkit.claims.typed.language import PhraseSet, grammar, phrase_set
from auditkit.claims.typed.vocabulary import Known, Vocabulary
from auditkit.domains.pack import Language

__all__ = ["MARKS", "Scope"]

MARKS = frozenset((".", ",", "!", ":", "\n", "-", '"', "'", "\u201c", "\u201d", "\u201e", "*"))
_LONGEST_CUE = 6  # words
_FARTHEST = 12  # words between a cue phrase and its value


class Scope:
    """A clause with the lookups that the rules share.

    Attributes:
        items: words for the item.
        negators: (first word, end) of every negation.
        taken: predicate of each word of an accepted value.
    """

    def __init__(self, clause: Clause, vocabulary: Vocabulary, language: Language) -> None:
        self.words, self.language = clause.words, language
        self.items = vocabulary.item_words
        self.joins = frozenset(grammar(language, "joins"))
        self.fillers = frozenset(grammar(language, "fillers"))
        self._easy = (self.fillers, self.joins, self.items, MARKS)
        self.negators = self._negators()
        self.taken: dict[int, Known] = {}

    def lower(self, place: int) -> str:
        """Word at a place in lower case; "" outside the clause."""
        return self.words[place].lower if 0 <= place < len(self.words) else ""

    def _negators(self) -> list[tuple[int, int]]:
        excused = {
            place
            for begin, end in phrase_set(self.language, "excused").places(self.words)
            for place in range(begin, end)
        }
        found = phrase_set(self.language, "negators").places(self.words)
        return [(begin, end) for begin, end in found if begin not in excused]

    def ends_before(self, phrases: PhraseSet, place: int) -> bool:
        """Whether a phrase ends right before a word."""
        return any(
            phrases.at(self.words, begin) == place - begin
            for begin in range(max(0, place - _LONGEST_CUE), place)
        )

    def steps_back(self, known: Known, candidate: Candidate) -> int:
        """Distance to a cue phrase in front of the value; 0 if there is none."""
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

    def cue_follows(self, known: Known, candidate: Candidate) -> bool:
        """Whether a cue phrase follows the value, after at most two easy words."""
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
        """Whether a phrase that makes the value another thing's is within three words of it."""
        begin, end = max(0, candidate.first - 4), min(len(self.words), candidate.end + 3)
        phrases = known.cues(self.language, "apart")
        return any(
            phrases.at(self.words, at)
            for at in range(begin, end)
            if not candidate.first <= at < candidate.end
        )
