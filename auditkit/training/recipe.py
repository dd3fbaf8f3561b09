"""Schema of a training recipe, a YAML file; all errors are reported together, each with its
line.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "AdversaryRecipe",
    "CanaryRecipe",
    "DataRecipe",
    "FederatedRecipe",
    "ForgettingRecipe",
    "LoraRecipe",
    "ModelRecipe",
    "OptimizerRecipe",
    "PrefixRecipe",
    "PrivacyRecipe",
    "ReweightingRecipe",
    "SoftPromptRecipe",
    "SyntheticRecipe",
    "TrainingRecipe",
    "ValidationRecipe",
]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ReweightingRecipe(_Section):
    """Target weights by item group: clip((GH / GP) ** gamma, 0.2, 5), rescaled to mean 1.

    GH is the group's share of the users' histories and GP is its share of the base model's lists,
    so groups that the base recommends too often get a smaller weight.
    """

    groups: Literal["popularity", "genre"] = "popularity"
    gamma: float = Field(default=1.0, gt=0)


class SyntheticRecipe(_Section):
    """Training on synthetic histories, sampled from noisy item transitions of the real ones.

    The transitions are released once by the Gaussian mechanism with `epsilon` at `delta`, by
    default 1 / (10 N) for N units. A `unit` is a `target` interaction with the interactions before
    it, a `window` of consecutive interactions (windows do not overlap), or a `user`. Transitions
    lead from each of the latest `lags` interactions to the next one; their weight falls by the
    factor `decay` per lag. `histories` is the number of sampled histories and `length` the number
    of items in each, at most that of the catalog.
    """

    unit: Literal["target", "window", "user"] = "target"
    epsilon: float = Field(default=8.0, gt=0)
    delta: float | None = Field(default=None, gt=0, lt=1)
    lags: int = Field(default=10, ge=1)
    decay: float = Field(default=0.85, gt=0, le=1)
    window: int = Field(default=10, ge=2)
    histories: int = Field(default=4_000, ge=2)
    length: int = Field(default=100, ge=3)


class ForgettingRecipe(_Section):
    """Users who asked to be forgotten: the user ids in `users_file`, one per line.

    Without `ascent`, the rows of these users are left out, so a model is retrained without them.
    With `ascent`, at least a quarter of the rows are theirs and their loss has the weight
    -`ascent`: gradient ascent unlearns them from `model.base` (Jang et al. 2023).
    """

    users_file: str
    ascent: float = Field(default=0.0, ge=0)


class DataRecipe(_Section):
    """Interactions to train on, and users to hold out.

    `dataset` is `ml-100k` or a file that describes your own data. `holdout_users` random users
    (seeded) are excluded from training; they are still evaluated and are the non-members of the
    membership audit. `fit` decides whether validation items are training data. `bucketing` batches
    rows of similar length. `attribute_masking` is the probability that a row states no attribute of
    its user. `reweighting` weights targets by item group. `synthetic` replaces the histories.
    `forgetting` leaves users out, or unlearns them.
    """

    dataset: str = "ml-100k"
    holdout_users: int = Field(default=100, ge=0)
    fit: Literal["all_but_test", "all_but_validation"] = "all_but_test"
    window: int = Field(default=50, ge=2, le=512)
    bucketing: bool = False
    attribute_masking: float = Field(default=0.0, ge=0, le=1)
    reweighting: ReweightingRecipe | None = None
    synthetic: SyntheticRecipe | None = None
    forgetting: ForgettingRecipe | None = None


class ModelRecipe(_Section):
    """A small transformer trained from scratch, or an existing `base` model.

    `llama` is decoder-only with tied embeddings, `t5` an encoder-decoder, `bert` a text encoder.
    `indexing` is the representation of an item as tokens; `titles` refers to items by title. `base`
    is a model folder, the name of a downloaded model, or the name of a training recipe that is
    trained first.
    """

    architecture: Literal["llama", "t5", "bert"] = "llama"
    base: str | None = None
    indexing: Literal[
        "item", "random", "sequential", "collaborative", "semantic", "hybrid", "titles"
    ] = "item"
    width: int = Field(default=64, ge=8)
    layers: int = Field(default=2, ge=1)
    heads: int = Field(default=2, ge=1)
    mlp: int = Field(default=128, ge=8)
    context: int = Field(default=192, ge=32)
    dropout: float = Field(default=0.3, ge=0, lt=1)
    text_vocabulary: int = Field(default=600, ge=260)


class LoraRecipe(_Section):
    """Low-rank updates (LoRA, Hu et al. 2022) of the layers in `targets`; by default, peft selects
    them.
    """

    method: Literal["lora"]
    r: int = Field(default=8, ge=1)
    alpha: int = Field(default=16, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: Annotated[list[str], Field(min_length=1)] | None = None


class SoftPromptRecipe(_Section):
    """Trainable vectors before every prompt of a frozen model (Lester et al. 2021)."""

    method: Literal["soft_prompt"]
    tokens: int = Field(default=20, ge=1)


class PrefixRecipe(_Section):
    """Trainable keys and values before the prompt in every layer of a frozen model.

    Source: Li & Liang 2021.
    """

    method: Literal["prefix"]
    tokens: int = Field(default=20, ge=1)


class AdversaryRecipe(_Section):
    """Adversary that predicts `attribute` from hidden states, for objective `adversarial_prompt`.

    `turns` adversary steps precede each prompt step; the recipe's `steps` counts both.
    """

    attribute: str
    turns: int = Field(default=5, ge=1)


class PerturbationRecipe(_Section):
    """Perturbation of the prompt's embeddings, for objective `embedding_adversarial`.

    `scale` is the size of the perturbation in units of the mean embedding norm divided by the
    square root of the width. One step is the method FGM, several steps are FreeLB.
    """

    scale: float = Field(default=0.5, gt=0)
    steps: int = Field(default=1, ge=1, le=10)


class OptimizerRecipe(_Section):
    """AdamW with warm-up and decay to zero; `accumulation` is the number of parts of a step's
    rows.
    """

    learning_rate: float = Field(default=4e-3, gt=0)
    betas: Annotated[list[float], Field(min_length=2, max_length=2)] = [0.9, 0.98]
    weight_decay: float = Field(default=0.1, ge=0)
    warmup_steps: int = Field(default=50, ge=0)
    schedule: Literal["linear", "cosine"] = "linear"
    clip_norm: float = Field(default=1.0, gt=0)
    accumulation: int = Field(default=1, ge=1)
    checkpoint_activations: bool = False


class ValidationRecipe(_Section):
    """Early stopping on NDCG@10 of the validation items.

    NDCG@10 is measured for `users` sampled users after every `every` steps.

    Training stops after `patience` validations without improvement, and the best weights are saved.
    """

    every: int = Field(default=100, ge=1)
    users: int = Field(default=200, ge=1)
    patience: int = Field(default=3, ge=1)


class PrivacyRecipe(_Section):
    """DP-SGD (Abadi et al. 2016) with a `unit` of one fixed training row, or of all rows of a user.

    Noise and sampling use OS entropy; `test_seed` fixes them for tests and makes the claim `none`.

    `epsilon` is the target of the PRV accountant at `delta`, by default 1 / (10 N) for N units;
    `expected_batch` / N is the Poisson sampling rate of the units. A sampled user contributes at
    most `records_per_unit` rows. `physical_batch` is the number of rows in one backward pass and
    affects only memory. `gradient_path: auto` uses the fast path where it is exact. `diagnostics`
    writes losses and gradient norms, which the claim does not cover, to a folder beside the model.
    """

    mechanism: Literal["dp_sgd"]
    unit: Literal["example", "user"] = "example"
    records_per_unit: int = Field(default=8, ge=1)
    epsilon: float = Field(default=8.0, gt=0)
    delta: float | None = Field(default=None, gt=0, lt=1)
    clip_norm: float = Field(default=1.0, gt=0)
    expected_batch: int = Field(default=256, ge=1)
    physical_batch: int = Field(default=128, ge=1)
    gradient_path: Literal["auto", "fast", "hooks"] = "auto"
    diagnostics: bool = False
    test_seed: int | None = Field(default=None, ge=0)


class FederatedRecipe(_Section):
    """Federated training by DP-FedAvg (McMahan et al. 2018); the recipe's `steps` are its rounds.

    Every training user is given to one of `clients` clients at random (seeded), or is a client.
    Every round samples each client with probability `fraction`. A sampled client takes
    `local_steps` steps on `batch` of its rows, and its update is clipped to `clip_norm` in L2 norm.
    The server adds noise of `noise_multiplier` times `clip_norm` to the sum and divides by the
    expected number of clients. Instead of the noise, `epsilon` may be given, a target at `delta`,
    by default 1 / (10 N) for N clients. The privacy unit is the client. `dropout` is the
    probability that a sampled client does not answer, to simulate lost connections.

    Noise and sampling use OS entropy; `test_seed` fixes them for tests and makes the claim `none`.
    """

    clients: int | None = Field(default=None, ge=2)
    fraction: float = Field(default=1.0, gt=0, le=1)
    local_steps: int = Field(default=10, ge=1)
    batch: int = Field(default=8, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    clip_norm: float = Field(default=1.0, gt=0)
    epsilon: float | None = Field(default=None, gt=0)
    noise_multiplier: float | None = Field(default=None, gt=0)
    delta: float | None = Field(default=None, gt=0, lt=1)
    test_seed: int | None = Field(default=None, ge=0)

    @property
    def records_per_round(self) -> int:
        """Largest number of rows that a client reads in a round."""
        return self.local_steps * self.batch


class CanaryRecipe(_Section):
    """Canaries for a privacy audit: `count` synthetic users with random histories.

    Each canary is planted in the training data, `repeats` times, with probability 1/2. A canary of
    `length` items is one user and one training row, because it must fit into a history window. The
    file `NAME.canaries.jsonl` beside the model folder `NAME` records which canaries were planted;
    keep it private.
    """

    count: int = Field(ge=4)
    repeats: int = Field(default=1, ge=1)
    length: int = Field(default=12, ge=2)
    kind: Literal["items"] = "items"


Adapter = Annotated[LoraRecipe | SoftPromptRecipe | PrefixRecipe, Field(discriminator="method")]


class TrainingRecipe(_Section):
    """Recipe of a complete training run.

    `tasks` maps each task to its number of rows in a step, `prompts` names the shipped templates,
    and `max_seconds` limits the training time without changing the learning-rate schedule.
    """

    version: Literal[1]
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    seed: int = Field(default=0, ge=0)
    steps: int = Field(ge=1)
    max_seconds: float | None = Field(default=None, gt=0)
    threads: int = Field(default=1, ge=1)
    checkpoint_every: int = Field(default=100, ge=1)
    data: DataRecipe = DataRecipe()
    model: ModelRecipe = ModelRecipe()
    prompts: Literal["item_tokens", "titles", "title_lists"] = "item_tokens"
    tasks: dict[str, Annotated[int, Field(ge=0)]] = {"recommend": 32, "describe": 10}
    objectives: dict[str, Annotated[float, Field(gt=0)]] = {"language_model": 1.0}
    optimizer: OptimizerRecipe = OptimizerRecipe()
    validation: ValidationRecipe | None = None
    adapter: Literal["full"] | Adapter = "full"
    adversary: AdversaryRecipe | None = None
    perturbation: PerturbationRecipe | None = None
    privacy: PrivacyRecipe | None = None
    federated: FederatedRecipe | None = None
    canaries: CanaryRecipe | None = None

    @property
    def claims_privacy(self) -> bool:
        """Whether the trained model gets a differential-privacy claim."""
        private = self.privacy is not None or self.federated is not None
        return private or self.data.synthetic is not None
