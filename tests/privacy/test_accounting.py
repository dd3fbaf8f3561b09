"""Accounting: equal to Opacus' accountants and to dp-accounting's figures, and its refusals."""

from __future__ import annotations

import json

import pytest
from opacus.accountants import PRVAccountant, RDPAccountant

from auditkit.cli import main
from auditkit.errors import InvalidArgument
from auditkit.privacy.accounting import StepRun, epsilon_of, noise_for

RUN = StepRun(1.1, 0.01, 1_000)


@pytest.mark.parametrize(("name", "reference"), [("prv", PRVAccountant), ("rdp", RDPAccountant)])
def test_epsilon_is_that_of_opacus_step_by_step(name, reference):
    expected = reference()
    for noise, rate, steps in [RUN, StepRun(0.9, 0.02, 50), RUN]:
        for _ in range(steps):
            expected.step(noise_multiplier=noise, sample_rate=rate)
    found = epsilon_of([RUN, StepRun(0.9, 0.02, 50), RUN], delta=1e-5, accountant=name)
    assert found == pytest.approx(expected.get_epsilon(delta=1e-5), rel=0.01)


def test_rdp_is_above_prv_and_no_step_costs_nothing():
    exact, bound = (epsilon_of([RUN], delta=1e-5, accountant=one) for one in ("prv", "rdp"))
    assert 0 < exact < bound
    assert epsilon_of([], delta=1e-5) == 0


@pytest.mark.parametrize("epsilon", [0.3, 1.0, 8.0])
@pytest.mark.parametrize("accountant", ["prv", "rdp"])
def test_noise_meets_its_target_without_needless_noise(epsilon, accountant):
    noise = noise_for(epsilon, sample_rate=0.05, steps=400, delta=1e-5, accountant=accountant)
    reached = epsilon_of([StepRun(noise, 0.05, 400)], delta=1e-5, accountant=accountant)
    less = epsilon_of([StepRun(noise / 1.01, 0.05, 400)], delta=1e-5, accountant=accountant)
    assert reached <= epsilon < less


def test_the_gdp_accountant_is_refused_by_name():
    with pytest.raises(InvalidArgument, match="can report less than the true epsilon"):
        epsilon_of([RUN], delta=1e-5, accountant="gdp")


@pytest.mark.parametrize(
    "run",
    [StepRun(0.0, 0.01, 10), StepRun(1.0, 0.0, 10), StepRun(1.0, 1.5, 10), StepRun(1, 0.1, 0)],
)
def test_values_outside_their_range_are_named(run):
    with pytest.raises(InvalidArgument, match="Privacy accounting got"):
        epsilon_of([run], delta=1e-5)


def printed(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(["privacy", *arguments, "--json"])
    assert ended.value.code == 0
    return json.loads(capsys.readouterr().out)


def test_the_commands_print_the_documented_keys(capsys):
    settings = ("--sample-rate", "0.01", "--steps", "1000", "--delta", "1e-5")
    found = printed(capsys, "epsilon", "--noise-multiplier", "1.1", *settings)
    assert found == {"epsilon": epsilon_of([RUN], delta=1e-5), "delta": 1e-5, "accountant": "prv"}
    found = printed(capsys, "epsilon", "--noise-multiplier", "1.1", "--group-size", "5", *settings)
    assert found["epsilon"] == pytest.approx(5 * epsilon_of([RUN], delta=1e-5))
    assert found["delta"] > 5e-5
    found = printed(capsys, "noise", "--epsilon", "2", *settings)
    assert set(found) == {"noise_multiplier", "epsilon"}
    assert found["epsilon"] <= 2
    counts = ("--canaries", "200", "--guesses", "100", "--correct", "98", "--delta", "1e-4")
    found = printed(capsys, "lower-bound", *counts)
    assert found == {"epsilon_lower": pytest.approx(2.699, abs=1e-3),
                     "ceiling": pytest.approx(3.44, abs=6e-3)}  # fmt: skip
