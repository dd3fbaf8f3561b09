"""Which files make a model folder this model: what its manifest names, and the manifest itself.

Audits and training write beside the weights; what they leave there is no part of the identity.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from auditkit.recommenders.adapters.manifest import MANIFEST, RecommenderManifest, resolve_inside
from auditkit.serialization.atomic_files import sha256_file
from auditkit.serialization.canonical_json import sha256_json

__all__ = ["folder_fingerprint"]

_HASHED_KINDS = (".safetensors", ".jinja", ".model", ".tiktoken")
_HASHED_NAMES = (
    "adapter_config.json", "added_tokens", "chat_template", "config.json", "generation_config.json",
    "merges", "model.safetensors.index.json", "special_tokens_map", "token", "vocab",
)  # fmt: skip
# What audits and training write beside a model later; it is no part of its identity.
_WRITTEN_LATER = ("checkpoints", "evaluation", "ledger.jsonl", "log.jsonl", "manifest.json")


def folder_fingerprint(folder: Path, manifest: RecommenderManifest) -> str:
    """SHA-256 over everything that the manifest names, and the manifest itself."""
    root = folder.resolve()
    hashes = {
        path.relative_to(root).as_posix(): sha256_file(path)
        for path in {root / MANIFEST, *_named_files(root, manifest)}
    }
    return sha256_json(hashes)


def _named_files(root: Path, manifest: RecommenderManifest) -> Iterator[Path]:
    """Files of weights, tokenizer, adapter and prompt.

    A folder of its own counts whole; the model folder and the one of the weights also hold what
    others write, so there only weights, configurations and tokenizer files count.
    """
    for file in filter(None, (manifest.prompt, manifest.item_index)):
        yield resolve_inside(root, file)
    shared = (root, resolve_inside(root, manifest.weights))
    for name in filter(None, (manifest.weights, manifest.tokenizer, manifest.adapter)):
        folder = resolve_inside(root, name)
        if folder in shared:
            found = [path for path in folder.iterdir() if _is_model_file(path)]
            found += (folder / "additional_chat_templates").rglob("*")
        else:
            found = [
                path
                for path in folder.rglob("*")
                if path.relative_to(folder).parts[0] not in _WRITTEN_LATER
            ]
        yield from (path for path in found if path.is_file())


def _is_model_file(path: Path) -> bool:
    return path.suffix in _HASHED_KINDS or path.name.startswith(_HASHED_NAMES)
