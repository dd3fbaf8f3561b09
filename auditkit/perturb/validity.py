"""Check on the canonical form of an adversarial text whether it is still the same request.

Invisible and look-alike characters are resolved first, because a reader does not see them. The text
must then be similar by two character-based measures, and its protected spans must be byte-equal.
For every edited title of a history, the most similar catalog title must be that of the same item.

Source: most adversarial texts of automatic attacks change the meaning (AdvGLUE, Wang et al. 2021),
so success without a validity check is not reported as the main result.
"""

from __future__ import annotations

from collections.abc import Sequence

from auditkit.catalog.catalog import Catalog
from auditkit.metrics.text_similarity import chrf, trigram_cosine
from auditkit.perturb.attempt import Attempt
from auditkit.perturb.span_edits import Edits, n_edited_words
from auditkit.recommenders.wrappers.canonicalization import Canonicalizer
from auditkit.recommenders.wrappers.title_snapping import TitleSnapper

__all__ = ["ValidityCheck"]


class ValidityCheck:
    """Checks adversarial texts; built once per attack.

    Args:
        catalog: its titles are not changed by canonicalization, and an edited title is compared
            with the nearest of them.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._titles = [item.display_title for item in catalog.items]
        self._canonical = Canonicalizer(self._titles)
        self._snapper: TitleSnapper | None = None

    def violations(self, attempt: Attempt, text: str, edits: Edits) -> tuple[str, ...]:
        """Reasons why a text is invalid, in words; empty for a valid text."""
        original, threat = attempt.text, attempt.threat
        found = []
        if not original.keeps_protected(text):
            found.append("a protected span was changed")
        if n_edited_words(original.text, edits) > attempt.limit:
            found.append(f"more than {attempt.limit} words were edited")
        if not attempt.allows(text):
            found.append(f"an edit distance above {threat.max_chars}")
        before, after = self._canonical.text(original.text), self._canonical.text(text)
        floor = threat.chrf_floor(len(original.words))
        if (value := chrf(after, before)) < floor:
            found.append(f"chrF {value:.2f} below {floor:.2f}")
        if (value := trigram_cosine(after, before)) < threat.min_cosine:
            found.append(f"trigram cosine {value:.2f} below {threat.min_cosine:.2f}")
        if threat.surface == "history":
            found += self._other_items(before.split("\n"), after.split("\n"))
        return tuple(found)

    def _other_items(self, before: Sequence[str], after: Sequence[str]) -> list[str]:
        """Find titles whose most similar catalog title belongs to another item than before."""
        if self._snapper is None:
            self._snapper = TitleSnapper(map(self._canonical.text, self._titles))
        if len(before) != len(after):
            return ["another number of titles"]
        pairs = zip(before, after, strict=True)
        moved = [new for old, new in pairs if self._snapper.snap(new) != self._snapper.snap(old)]
        return [f"a title that is nearest to another item: {moved[0]}"] if moved else []
