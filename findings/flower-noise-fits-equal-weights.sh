#!/usr/bin/env bash
# Flower's wrapper for central differential privacy adds noise for a mean with equal weights, while the
# strategy inside it, FedAvg, weights clients by their number of examples.
#
# DifferentialPrivacyServerSideFixedClipping clips every update to C and adds noise of standard
# deviation z C / num_sampled_clients. With FedAvg's default, one client that has most examples moves
# the released weights by nearly C: here by .91 C, for which a noise multiplier of 1 is one of .11.
# Nothing warns, unless an accountant is passed: then unequal weights raise an error. Equal numbers of
# examples in every client's metrics avoid it. An update of exactly zero raises ZeroDivisionError.
#
# Output seen (flwr 1.42.0): moved by 0.910, noise 0.101. Needs Linux, Python 3.11 or newer, and about
# 300 MB in a temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/run.py" <<'PY'
import logging
import sys
import time
from importlib.metadata import version

import numpy as np
from flwr.app import Array, ArrayRecord, Message, Metadata, MetricRecord, RecordDict
from flwr.serverapp.strategy import DifferentialPrivacyServerSideFixedClipping, FedAvg

logging.disable(logging.CRITICAL)
CLIENTS, CLIP, DIMENSION = 10, 1.0, 4
EXAMPLES = [910] + [10] * (CLIENTS - 1)


def reply(node, update, n_examples):
    metadata = Metadata(
        run_id=1, message_id=str(node), src_node_id=0, dst_node_id=node, reply_to_message_id="",
        group_id="1", created_at=time.time(), ttl=60.0, message_type="train",
    )
    asked = Message(content=RecordDict(), metadata=metadata)
    content = RecordDict({
        "arrays": ArrayRecord({"w": Array(update)}),
        "metrics": MetricRecord({"num-examples": n_examples}),
    })
    return Message(content, reply_to=asked)


def released(noise, largest):
    """Weights after one round in which the client with most examples sends a multiple of its update."""
    strategy = DifferentialPrivacyServerSideFixedClipping(
        FedAvg(fraction_train=1.0, min_available_nodes=CLIENTS), noise, CLIP, CLIENTS
    )
    strategy.current_arrays = ArrayRecord({"w": Array(np.zeros(DIMENSION))})
    small = np.full(DIMENSION, 1e-6)
    updates = [largest * np.eye(DIMENSION)[0] + small] + [small] * (CLIENTS - 1)
    arrays, _ = strategy.aggregate_train(
        1, [reply(i + 1, u, n) for i, (u, n) in enumerate(zip(updates, EXAMPLES))]
    )
    return arrays.to_numpy_ndarrays()[0]


influence = float(np.linalg.norm(released(0.0, 100.0) - released(0.0, 0.0)))
noise = float(np.std([released(1.0, 0.0) for _ in range(2_000)]))
print(f"flwr {version('flwr')}: the client with most examples moves the weights by {influence:.3f}; "
      f"noise {noise:.3f} at a noise multiplier of 1, which would fit {CLIP / CLIENTS:.3f}")
expected = influence > 0.9 and abs(noise - CLIP / CLIENTS) < 0.01
sys.exit(0 if expected else "the behavior has changed")
PY
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q flwr==1.42.0 numpy==2.4.6
"$work/venv/bin/python" "$work/run.py" 2>"$work/log" || { cat "$work/log"; exit 1; }
