"""Attributions by Captum's own LLMAttribution, and the same through one batch."""

from __future__ import annotations

import torch
from captum.attr import FeatureAblation, KernelShap, LLMAttribution, ShapleyValueSampling
from captum.attr._utils.interpretable_input import TextTemplateInput
from run_probe import target_for

from auditkit.attribution.captum_methods import record, replay
from auditkit.attribution.spans import masked, spans_of
from auditkit.attribution.values import Game, measure, value_of

METHODS = {m.__name__: m for m in (FeatureAblation, ShapleyValueSampling, KernelShap)}


class MaskedPrompt(TextTemplateInput):
    """Captum's input, with the token ids that auditkit scores instead of a string."""

    def __init__(self, recommender, request, text):
        super().__init__(template=lambda *kept: "", values=[i.title for i in request.history])
        self.recommender, self.request, self.text = recommender, request, text

    def to_model_input(self, perturbed_tensor=None):
        spans = spans_of(self.request)
        kept = [1] * len(spans) if perturbed_tensor is None else perturbed_tensor[0].tolist()
        mask = sum(1 << i for i, bit in enumerate(kept) if bit)
        prompt = self.recommender.render(masked(self.request, spans, mask))
        return torch.tensor([self.recommender.token_ids(prompt, self.text)[0]])


def captums(name, recommender, request, item, *, seed, **options):
    """Attribution by Captum alone, without its cache, one forward per mask and token."""
    text = recommender.reference(item)
    _, target = recommender.token_ids(recommender.render(request), text)
    method = LLMAttribution(METHODS[name](recommender.model), recommender.tokenizer)
    torch.manual_seed(seed)
    inp = MaskedPrompt(recommender, request, text)
    found = method.attribute(inp, target=torch.tensor(target), use_cached_outputs=False, **options)
    return found.seq_attr.numpy()


def ours(name, recommender, request, item, folder, **options):
    game = Game(request, spans_of(request), (item,))
    plan = record(name, game.n, **options)
    measure(target_for(recommender, folder), [(game, plan.masks)])
    table = game.table(plan.masks)
    return replay(plan, dict(zip(table.masks, value_of(table).tolist(), strict=True)))
