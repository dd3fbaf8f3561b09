"""`auditkit privacy`: epsilon, noise and lower bounds of differentially private training."""

from __future__ import annotations

import json
from typing import Annotated, Literal

import typer

__all__ = ["register"]

_FALSE_ALARMS = 0.01

SampleRate = Annotated[
    float,
    typer.Option(help="probability that a unit is in a step, such as batch size / number of units"),
]
Steps = Annotated[int, typer.Option(help="number of steps")]
Delta = Annotated[float, typer.Option(help="delta, below 1 / N for N units; 1 / (10 N) is usual")]
AccountantName = Annotated[
    Literal["prv", "rdp"], typer.Option(help="accountant: prv for claims, rdp for an upper bound")
]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON object")]


def register(app: typer.Typer) -> None:
    """Add the command group `privacy` to the application."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Compute epsilon and noise of private training, and the lower bound of a canary "
        "audit.",
    )
    group.command("epsilon")(epsilon)
    group.command("noise")(noise)
    group.command("lower-bound")(lower_bound)
    app.add_typer(group, name="privacy")


def epsilon(
    noise_multiplier: Annotated[
        float, typer.Option(help="standard deviation of the noise divided by the clipping norm")
    ],
    sample_rate: SampleRate,
    steps: Steps,
    delta: Delta,
    accountant: AccountantName = "prv",
    group_size: Annotated[
        int, typer.Option(help="number of units that belong together, such as the rows of one user")
    ] = 1,
    as_json: AsJson = False,
) -> None:
    """Print the epsilon of DP-SGD with Poisson sampling, and its limit for attacks."""
    from auditkit.privacy.accounting import StepRun, epsilon_of
    from auditkit.privacy.bounds import Claim, group_claim, tpr_allowed

    run = StepRun(noise_multiplier, sample_rate, steps)
    one = Claim(epsilon_of([run], delta=delta, accountant=accountant), delta)
    claim = group_claim(one, group_size)
    said = (
        f"epsilon {claim.epsilon:.4f} at delta {claim.delta:g}, by the {accountant.upper()} "
        f"accountant; an attack can identify at most {tpr_allowed(claim, _FALSE_ALARMS):.1%} of "
        f"the members at a false positive rate of {_FALSE_ALARMS:.0%}"
    )
    values: dict[str, object] = {
        "epsilon": claim.epsilon, "delta": claim.delta, "accountant": accountant,
    }  # fmt: skip
    _print(values, said, as_json=as_json)


def noise(
    epsilon: Annotated[float, typer.Option(help="target epsilon, nats")],
    sample_rate: SampleRate,
    steps: Steps,
    delta: Delta,
    accountant: AccountantName = "prv",
    as_json: AsJson = False,
) -> None:
    """Print the smallest noise multiplier that meets a target epsilon, and the resulting
    epsilon.
    """
    from auditkit.privacy.accounting import StepRun, epsilon_of, noise_for

    multiplier = noise_for(
        epsilon, sample_rate=sample_rate, steps=steps, delta=delta, accountant=accountant
    )
    run = StepRun(multiplier, sample_rate, steps)
    reached = epsilon_of([run], delta=delta, accountant=accountant)
    said = f"noise multiplier {multiplier:.4f}, epsilon {reached:.4f} at delta {delta:g}"
    _print({"noise_multiplier": multiplier, "epsilon": reached}, said, as_json=as_json)


def lower_bound(
    canaries: Annotated[
        int,
        typer.Option(help="number of canaries, each of which was trained on with probability 1/2"),
    ],
    guesses: Annotated[int, typer.Option(help="number of canaries for which a guess was made")],
    correct: Annotated[int, typer.Option(help="correct guesses")],
    delta: Delta,
    confidence: Annotated[float, typer.Option(help="confidence of the bound")] = 0.95,
    as_json: AsJson = False,
) -> None:
    """Print the lower bound of epsilon from an audit of one training run, and its ceiling."""
    from auditkit.privacy.bounds import one_run_bound

    found = one_run_bound(
        canaries=canaries, guesses=guesses, correct=correct, delta=delta, confidence=confidence
    )
    said = (
        f"epsilon is at least {found.epsilon:.4f} ({confidence:.0%} confidence); with all "
        f"{guesses} guesses correct the bound would be {found.ceiling:.4f}"
    )
    _print({"epsilon_lower": found.epsilon, "ceiling": found.ceiling}, said, as_json=as_json)


def _print(values: dict[str, object], said: str, *, as_json: bool) -> None:
    typer.echo(json.dumps(values) if as_json else said)
