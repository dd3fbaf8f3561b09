"""Check the files of a model before a library reads them, and rephrase errors of the library.

For a file that is a Git LFS pointer, is truncated or was edited by hand, transformers reports
"header too large" or names another file. These checks name the right file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from auditkit.errors import AuditkitError, TargetUnavailable
from auditkit.serialization.canonical_json import read_json

__all__ = ["library_errors", "read_object", "refuse_quantized", "require_readable"]

_POINTER = b"version https://git-lfs.github.com/spec/"
_JSON = (
    "adapter_config.json", "added_tokens.json", "config.json", "generation_config.json",
    "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json", "vocab.json",
)  # fmt: skip
_WEIGHTS, _TEXTS = "*.safetensors", ("*.jinja", "*.model", "merges.txt", "vocab.txt")
_LONGEST_CAUSE = 600


def require_readable(folder: Path) -> None:
    """Require that the weights, configuration and tokenizer files of a folder are complete.

    Raises:
        TargetUnavailable: a file is a Git LFS pointer, is not JSON, or is not a complete
            safetensors file.
    """
    weights = [path for path in sorted(folder.glob(_WEIGHTS)) if path.is_file()]
    texts = [path for pattern in _TEXTS for path in sorted(folder.glob(pattern))]
    named = [folder / name for name in _JSON if (folder / name).is_file()]
    for path in (*weights, *texts, *named, *sorted(folder.glob("*.index.json"))):
        _refuse_pointer(path)
    for path in named:
        read_object(path)
    if (folder / "tokenizer.json").is_file():
        _require_tokenizer(folder / "tokenizer.json")
    for path in weights:
        try:
            with safe_open(path, framework="numpy"):
                pass
        except (SafetensorError, OSError) as error:
            raise TargetUnavailable(
                f"{path} is not a complete safetensors file ({error}; it has "
                f"{path.stat().st_size:,} bytes). Copy or download it again."
            ) from None


def read_object(path: Path, *, of: type = dict) -> Any:
    """Read a JSON object, or a list if `of` is `list`; empty if the file does not exist.

    Raises:
        TargetUnavailable: the file is not JSON, or its value is not of type `of`.
    """
    if not path.is_file():
        return of()
    try:
        found = read_json(path.read_text(encoding="utf-8"))
        if isinstance(found, of):
            return found
        fault = f"not a JSON {'object' if of is dict else 'list'}"
    except ValueError as error:
        fault = f"not valid JSON: {error}"
    raise TargetUnavailable(
        f"{path} cannot be read ({fault}). Correct the file, or copy or download it again."
    )


def refuse_quantized(config: Path, fields: Mapping[str, Any]) -> None:
    """Reject quantized weights: the engine computes in float32, and a library that does not know
    the format would read packed integers as weights.

    Raises:
        TargetUnavailable: config.json has a quantization_config.
    """
    settings = fields.get("quantization_config")
    if settings is None:
        return
    method = settings.get("quant_method") if isinstance(settings, dict) else None
    raise TargetUnavailable(
        f"{config} has a quantization_config ({method or 'of no stated method'}), and quantized "
        "weights are not loaded. Serve the model, for example with vLLM, and audit "
        "openai:BASE_URL#MODEL; or save its weights unquantized."
    )


@contextmanager
def library_errors(place: Path, remedy: str) -> Iterator[None]:
    """Context manager that converts a library's error into one that names `place` and `remedy`.

    Raises:
        TargetUnavailable: the block raised an error that is not auditkit's own.
    """
    try:
        yield
    except AuditkitError:
        raise
    except Exception as error:  # KeyError, ImportError, ZeroDivisionError, errors of Rust, ...
        cause = " ".join(str(error).split())
        if len(cause) > _LONGEST_CAUSE:
            cause = f"{cause[:_LONGEST_CAUSE]} ..."
        raise TargetUnavailable(
            f"{place} cannot be loaded: {type(error).__name__}: {cause.rstrip('.')}. {remedy}"
        ) from error


def _refuse_pointer(path: Path) -> None:
    with path.open("rb") as stream:
        begin = stream.read(len(_POINTER))
    if begin == _POINTER:
        raise TargetUnavailable(
            f"{path} is a Git LFS pointer, not the file itself. Run `git lfs pull` in its "
            "repository, or download the file."
        )


def _require_tokenizer(path: Path) -> None:
    """Require the format of the tokenizers library, because other programs use the same file
    name.
    """
    model = read_object(path).get("model")
    if not isinstance(model, dict) or "vocab" not in model:
        raise TargetUnavailable(
            f"{path} is not a file of the tokenizers library: it has no `model` with a `vocab`. "
            "Save the tokenizer with save_pretrained."
        )
