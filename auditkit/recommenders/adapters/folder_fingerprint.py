"""Fingerprint of a model folder: a hash of its manifest and of the files that the manifest names.

Audits and training write other files into the same folder, which are not part of the fingerprint.
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
    "adapter_config.json", "added_tokens", "chat_template", "config.json",
    "config_sentence_transformers.json", "generation_config.json", "merges",
    "model.safetensors.index.json", "modules.json", "sentence_", "special_tokens_map", "token",
    "vocab",
)  # fmt: skip
# Written by audits and training; not part of the model.
_WRITTEN_LATER = ("checkpoints", "evaluation", "ledger.jsonl", "log.jsonl", "manifest.json")


def folder_fingerprint(folder: Path, manifest: RecommenderManifest) -> str:
    """SHA-256 of the manifest and of all files that the manifest names."""
    root = folder.resolve()
    hashes = {
        path.relative_to(root).as_posix(): sha256_file(path)
        for path in {root / MANIFEST, *_named_files(root, manifest)}
    }
    return sha256_json(hashes)


def _named_files(root: Path, manifest: RecommenderManifest) -> Iterator[Path]:
    """Yield the files of the weights, the tokenizer, the adapter and the prompt.

    If tokenizer or adapter have their own folder, all of its files are included. The model folder
    and the folder of the weights also contain other files, so only their weights, configurations
    and tokenizer files are included.
    """
    for file in filter(None, (manifest.prompt, manifest.item_index)):
        yield resolve_inside(root, file)
    shared = (root, resolve_inside(root, manifest.weights))
    for name in filter(None, (manifest.weights, manifest.tokenizer, manifest.adapter)):
        folder = resolve_inside(root, name)
        if folder in shared:
            found = [path for path in folder.iterdir() if _is_model_file(path)]
            found += (folder / "additional_chat_templates").rglob("*")
            # Steps of a sentence-transformers folder, such as 1_Pooling.
            found += (file for part in folder.glob("[0-9]_*") for file in part.rglob("*"))
        else:
            found = [
                path
                for path in folder.rglob("*")
                if path.relative_to(folder).parts[0] not in _WRITTEN_LATER
            ]
        yield from (path for path in found if path.is_file())


def _is_model_file(path: Path) -> bool:
    return path.suffix in _HASHED_KINDS or path.name.startswith(_HASHED_NAMES)
