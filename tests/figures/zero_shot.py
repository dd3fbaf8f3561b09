"""The base of an adapted model, asked about the same examples as the adapted model.

An audit asks a trained model about users whom it held out, any other model about every user's test
item. So the base declares what the trained model does, after no step of training.
"""

from __future__ import annotations

import shutil

from auditkit.recommenders.adapters.manifest import MANIFEST, RecommenderManifest
from auditkit.training.base_model import BASE, link


def untrained_base(trained, out):
    """The base alone, in the words and the chat template that it brings, as a TARGET."""
    record = RecommenderManifest.read(trained).training
    untrained = record.model_copy(update={"steps": 0, "parameters": 0, "objectives": {}})
    ignored = shutil.ignore_patterns(MANIFEST)
    shutil.copytree(trained / BASE, out, copy_function=link, ignore=ignored)
    own = RecommenderManifest.read(trained / BASE)
    own.model_copy(update={"training": untrained}).write(out)
    return out
