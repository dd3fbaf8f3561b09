"""The same strategy and client app under Flower's own simulation, with clients on Ray."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("flwr", reason="flwr is not installed; make test-fl runs this")
pytest.importorskip("ray", reason="ray is not installed; make test-fl runs this")

PROGRAM = """
import numpy as np
from flwr.app import Array, ArrayRecord
from flwr.serverapp import ServerApp
from flwr.simulation import run_simulation

from auditkit.errors import AuditkitError
from auditkit.training.dp.ledger import Accounting
from auditkit.training.federated.client_app import client_app
from auditkit.training.federated.strategy import PrivateFedAvg


def train(client, round_, weights):
    if client == 3:
        raise AuditkitError("The battery is empty. Charge it.")
    return [np.full_like(tensor, 0.01 * (client + 1)) for tensor in weights]


server = ServerApp()


@server.main()
def main(grid, context):
    accounting = Accounting(n_units=8, sample_rate=1.0, noise_multiplier=1e-9, delta=0.01)
    strategy = PrivateFedAvg(accounting, clip_norm=10.0, charge=lambda: print("CHARGED"))
    start = ArrayRecord({"w": Array(np.zeros(4, np.float32))})
    result = strategy.start(grid=grid, initial_arrays=start, num_rounds=3)
    print("RESULT", *result.arrays.to_numpy_ndarrays()[0])


if __name__ == "__main__":
    run_simulation(
        server_app=server,
        client_app=client_app(train, clip_norm=10.0),
        num_supernodes=8,
        backend_config={"init_args": {"num_cpus": 2}, "client_resources": {"num_cpus": 1}},
    )
"""


@pytest.mark.slow
def test_flower_simulation_on_ray_gives_the_same_result_with_a_client_that_drops_out(tmp_path):
    program = tmp_path / "simulation.py"
    program.write_text(PROGRAM, encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, str(program)],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        cwd=Path(__file__).parents[3],
        env={
            **os.environ,
            "FLWR_TELEMETRY_ENABLED": "0",
            "RAY_USAGE_STATS_ENABLED": "0",
            "HOME": str(tmp_path),
        },
    )
    lines = ended.stdout.splitlines()
    assert lines.count("CHARGED") == 3, ended.stderr[-2000:]
    # Flower gives clients random ids, but every client answers in every round.
    found = next(line for line in lines if line.startswith("RESULT")).split()[1:]
    wanted = 3 * 0.01 * (sum(range(1, 9)) - 4) / 8
    assert [float(value) for value in found] == pytest.approx([wanted] * 4, abs=1e-6)
