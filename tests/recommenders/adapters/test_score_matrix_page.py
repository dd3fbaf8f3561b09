"""The code of docs/how-to/audit-a-score-matrix.md, executed with the installed libraries."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import numpy as np
import pytest

from auditkit.recommenders.adapters.score_matrix import load_scores
from auditkit.types import Item, Request

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "audit-a-score-matrix.md"
N_USERS, N_ITEMS = 30, 20
COLD = "u999"  # a user without an interaction in training


@pytest.fixture
def rows():
    """Interactions (user, item, rating) of two tastes."""
    rng = np.random.default_rng(0)
    chance = np.where((np.arange(N_USERS)[:, None] + np.arange(N_ITEMS)) % 2, 0.5, 0.1)
    pairs = np.argwhere(rng.random((N_USERS, N_ITEMS)) < chance)
    return [(f"u{user}", f"i{item}", float(1 + rng.integers(5))) for user, item in pairs]


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """Execute the code below a heading of the page and read its file."""
    monkeypatch.chdir(tmp_path)

    def run(heading, **given):
        page = PAGE.read_text(encoding="utf-8")
        code = re.search(rf"^## {heading}$.*?```python\n(.*?)```", page, re.S | re.M)[1]
        exec(compile(code, f"{PAGE.name}, {heading}", "exec"), given)
        return load_scores(tmp_path / "scores.npz")

    return run


def package(name):
    """The package, or a skip if it is not installed or cannot be imported."""
    try:
        return importlib.import_module(name)
    except Exception as error:
        return pytest.skip(f"{name}: {type(error).__name__}: {error}")


def listed(matrix, user, history=(), k=N_ITEMS):
    request = Request(id="r", user_id=user, k=k, history=tuple(Item(i, i) for i in history))
    return [item.item_id for item in matrix.recommend([request])[0].items]


def history_of(rows, user):
    return [item for name, item, _ in rows if name == user]


@pytest.mark.parametrize("name", ["BPR", "WBPR", "MF", "EASE", "ItemKNN", "MostPop"])
def test_cornac_model_ranks_the_items_of_its_training_set(rows, saved, name):
    cornac = package("cornac")
    unknown = [("u99", "i99", 3.0), ("u98", "i0", 2.0)]
    split = cornac.eval_methods.BaseMethod.from_splits(
        rows, [*unknown, *rows[:2]], exclude_unknowns=False, seed=1
    )
    model = getattr(cornac.models, name)().fit(split.train_set)
    matrix = saved("Cornac", model=model)
    found = listed(matrix, "u3")
    assert sorted(found) == sorted({item for _, item, _ in rows})
    assert listed(matrix, "u99") == []
    scores = np.ravel(model.score(model.uid_map["u3"]))
    ranked = [scores[model.iid_map[item]] for item in found]
    assert ranked == sorted(ranked, reverse=True)


MODELS = {
    "als": "als.AlternatingLeastSquares", "bpr": "bpr.BayesianPersonalizedRanking",
    "lmf": "lmf.LogisticMatrixFactorization", "cosine": "nearest_neighbours.CosineRecommender",
    "bm25": "nearest_neighbours.BM25Recommender",
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_implicit_model_gives_the_lists_of_its_own_method(rows, saved, name):
    package("implicit")
    from scipy.sparse import csr_matrix

    module, kind = MODELS[name].split(".")
    user_ids = [*[f"u{n}" for n in range(N_USERS)], COLD]
    item_ids = [f"i{n}" for n in range(N_ITEMS)]
    places = [(user_ids.index(user), item_ids.index(item)) for user, item, _ in rows]
    user_items = csr_matrix(
        (np.ones(len(places)), tuple(zip(*places, strict=True))), shape=(len(user_ids), N_ITEMS)
    )
    model = getattr(importlib.import_module(f"implicit.{module}"), kind)()
    model.fit(user_items, show_progress=False)
    matrix = saved("implicit", **locals())
    columns, scores = model.recommend(3, user_items[3], N=5)
    if hasattr(model, "similarity"):  # shorter lists are padded with the score 0
        columns = columns[scores > 0]
    own = [item_ids[column] for column in columns]
    assert own
    assert listed(matrix, "u3", history_of(rows, "u3"))[: len(own)] == own
    assert listed(matrix, COLD) == []


@pytest.mark.parametrize("name", ["als.ImplicitMFScorer", "knn.ItemKNNScorer", "basic.PopScorer"])
def test_lenskit_pipeline_gives_the_lists_of_its_own_method(rows, saved, name):
    package("lenskit")
    import pandas as pd
    from lenskit import recommend
    from lenskit.data import from_interactions_df
    from lenskit.pipeline import topn_pipeline

    dataset = from_interactions_df(pd.DataFrame(rows, columns=["user_id", "item_id", "rating"]))
    module, kind = name.split(".")
    scorer = getattr(importlib.import_module(f"lenskit.{module}"), kind)
    pipeline = topn_pipeline(scorer())
    pipeline.train(dataset)
    matrix = saved("LensKit", dataset=dataset, pipeline=pipeline)
    own = list(recommend(pipeline, "u3", n=3).ids())
    found = listed(matrix, "u3", history_of(rows, "u3"))
    assert set(own) <= set(found)
    assert listed(matrix, COLD) == []


def test_recbole_model_leaves_out_what_the_user_knows(rows, saved, tmp_path, monkeypatch):
    package("recbole.quick_start")
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    from recbole.quick_start import run_recbole

    (tmp_path / "toy").mkdir()
    rows = [*rows, ("u77", "i3", 1.0)]  # too short a history for a test interaction
    lines = [f"{user}\t{item}\t{n}" for n, (user, item, _) in enumerate(rows)]
    header = "user_id:token\titem_id:token\ttimestamp:float"
    (tmp_path / "toy" / "toy.inter").write_text("\n".join([header, *lines]))
    columns = {"inter": ["user_id", "item_id", "timestamp"]}
    run_recbole(
        model="BPR",
        dataset="toy",
        config_dict={
            "data_path": str(tmp_path),
            "epochs": 1,
            "load_col": columns,
            "show_progress": False,
            "state": "ERROR",
            "use_gpu": False,
        },
    )
    (checkpoint,) = (tmp_path / "saved").glob("*.pth")
    checkpoint.rename(tmp_path / "saved" / "BPR.pth")
    matrix = saved("RecBole")
    found = listed(matrix, "u3")
    assert found
    assert listed(matrix, "u77") == []
    assert set(found) <= {item for _, item, _ in rows}
