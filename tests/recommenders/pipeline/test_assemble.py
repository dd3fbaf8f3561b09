"""Pipelines loaded from a file: identity, errors, network access, and every kind of stage."""

from __future__ import annotations

import json

import pytest
from planted_recommenders import Clean
from ranking_server import ranking, write_pipeline
from small_folder import save
from small_world import world

from auditkit.domains.shipped import domain_pack
from auditkit.errors import ConfigurationError, TargetUnavailable
from auditkit.probes.base import (
    Context,
    NotAssessable,
    load_users,
    neutral_request,
    require_unseen_test_items,
)
from auditkit.recommenders.adapters.manifest import TrainingRecord
from auditkit.recommenders.loading.load import load_recommender, needs_dataset
from auditkit.recommenders.pipeline.stage import build_stage
from auditkit.recommenders.pipeline.stage_trace import stage_records
from auditkit.recommenders.prompting.prompts import Prompts
from auditkit.recommenders.target_uri import endpoints_of, restriction_for
from auditkit.security.network_guard import NetworkForbidden
from auditkit.types import Request

SERVER = "openai:http://models.example.org:8000/v1#m"


def loaded(target, **options):
    return load_recommender(target, dataset=world(), connects=False, **options)


def request(k=5):
    user = load_users(world())[0]
    return Request(id="r1", user_id=user.id, history=user.history, k=k)


# --- identity


def test_the_fingerprint_covers_stages_numbers_names_and_prompt(tmp_path):
    path, prompt = tmp_path / "p.yaml", tmp_path / "rerank.yaml"
    prompt.write_text('recommend: ["{k} of {candidates}"]\n')
    more = ", prompt: rerank.yaml"
    made = [
        loaded(write_pipeline(path, SERVER)).fingerprint,
        loaded(write_pipeline(path, SERVER, n=21)).fingerprint,
        loaded(write_pipeline(path, SERVER.replace("#m", "#other"))).fingerprint,
        loaded(write_pipeline(path, SERVER, first="baseline:ease")).fingerprint,
        loaded(write_pipeline(path, SERVER, more=more)).fingerprint,
    ]
    prompt.write_text('recommend: ["Choose {k} of {candidates}"]\n')
    made.append(loaded(write_pipeline(path, SERVER, more=more)).fingerprint)
    renamed = path.read_text().replace("name: ranking", "name: order")
    path.write_text(renamed)
    made.append(loaded(f"pipeline:{path}").fingerprint)
    assert len(set(made)) == len(made)


def test_the_fingerprint_does_not_depend_on_the_place_of_the_file(tmp_path):
    (tmp_path / "other").mkdir()
    here = loaded(write_pipeline(tmp_path / "p.yaml", SERVER))
    there = loaded(write_pipeline(tmp_path / "other" / "q.yaml", SERVER))
    assert here.fingerprint == there.fingerprint


def test_a_pipeline_describes_all_of_its_stages(tmp_path):
    found = loaded(write_pipeline(tmp_path / "p.yaml", SERVER))
    assert found.kind == "pipeline of baseline, then endpoint, chat"
    assert not found.verified
    assert found.notes[0] == (
        "Stages: retrieval is baseline:item-knn and passes 20 candidates on, ranking is m."
    )
    assert found.notes[1].startswith("stage ranking: The weights of a remote model")
    local = loaded(write_pipeline(tmp_path / "p.yaml", "baseline:popularity"))
    assert local.verified
    assert local.recommender.name == "pipeline:p.yaml"


# --- errors


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("basline:ease", "stage 'ranking': unknown target 'basline:ease'"),
        ("baseline:eaze", "stage 'ranking': unknown baseline 'eaze'. Did you mean 'ease'"),
        ("openai:http://h", "stage 'ranking': openai:http://h needs a server and a model"),
        ("scores:absent.npz", "stage 'ranking': .*absent.npz"),
        ("python:planted_recommenders:Clean", "stage 'ranking': .*Add --allow-code"),
    ],
)
def test_an_error_of_a_stage_names_file_and_stage(tmp_path, target, message):
    with pytest.raises(TargetUnavailable, match=message) as raised:
        loaded(write_pipeline(tmp_path / "p.yaml", target))
    assert str(raised.value).startswith(str(tmp_path / "p.yaml"))


@pytest.mark.parametrize("prefix", ["", "neutralized:"])
def test_a_pipeline_within_itself_is_refused(tmp_path, prefix):
    path = tmp_path / "p.yaml"
    target = write_pipeline(path, f"{prefix}pipeline:{path}")
    assert endpoints_of(target) == []
    with pytest.raises(ConfigurationError, match="is a pipeline itself"):
        loaded(target)


def test_two_servers_are_refused_before_they_are_asked(tmp_path):
    target = write_pipeline(tmp_path / "p.yaml", SERVER, first=SERVER)
    with pytest.raises(ConfigurationError, match="has 2 openai: stages, but a pipeline can have"):
        load_recommender(target, dataset=world())


@pytest.mark.parametrize(
    ("name", "message"),
    [("absent.yaml", "does not exist. Correct the entry"), ("../x.yaml", "outside the folder")],
)
def test_a_prompt_file_must_be_in_the_folder(tmp_path, name, message):
    (tmp_path / "x.yaml").write_text("history: titles\n")
    (tmp_path / "shop").mkdir()
    target = write_pipeline(tmp_path / "shop" / "p.yaml", SERVER, more=f", prompt: {name}")
    with pytest.raises(ConfigurationError, match=message):
        loaded(target)


def test_templates_are_changed_in_the_file_and_not_by_an_option(tmp_path):
    (tmp_path / "prompts.yaml").write_text("history: titles\n")
    target = write_pipeline(tmp_path / "p.yaml", SERVER)
    with pytest.raises(ConfigurationError, match="has its own templates"):
        loaded(target, prompts=tmp_path / "prompts.yaml")


def test_a_pipeline_needs_a_data_set(tmp_path):
    target = write_pipeline(tmp_path / "p.yaml", SERVER)
    assert needs_dataset(target)
    with pytest.raises(TargetUnavailable, match="Pass a data set"):
        load_recommender(target, dataset=None)


# --- network


def test_exactly_the_endpoint_of_a_stage_may_be_reached(tmp_path):
    target = write_pipeline(tmp_path / "p.yaml", SERVER)
    for named in (target, f"neutralized:{target}"):
        restriction = restriction_for(named)
        restriction.inspect("socket.getaddrinfo", ("models.example.org", 8000))
        with pytest.raises(NetworkForbidden):
            restriction.inspect("socket.getaddrinfo", ("other.example.org", 8000))


def test_a_local_pipeline_may_reach_no_other_machine(tmp_path):
    restriction = restriction_for(write_pipeline(tmp_path / "p.yaml", "baseline:ease"))
    with pytest.raises(NetworkForbidden):
        restriction.inspect("socket.getaddrinfo", ("models.example.org", 8000))
    assert restriction_for(write_pipeline(tmp_path / "p.yaml", SERVER), online=True) is None


# --- kinds of stages


def test_a_local_language_model_ranks_the_candidates_by_score(tmp_path):
    folder = save(tmp_path / "tiny", style="generate", with_items=False)
    found = loaded(write_pipeline(tmp_path / "p.yaml", str(folder))).recommender
    asked = request()
    (answer,) = found.recommend([asked])
    retrieval, _ = stage_records(answer)
    given = {item.item_id for item in retrieval.items}
    scores = [item.score for item in answer.items]
    assert scores == sorted(scores, reverse=True)
    assert {item.item_id for item in answer.items} <= given
    assert "{candidates}" not in answer.trace[-1]["prompt"]  # its template, not a list of titles


def test_recorded_candidates_are_looked_up_by_the_id_of_the_request(tmp_path):
    titles = ["Golden Harbor (1971)", "Frozen Harbor (1954)", "Paper Meadow (1993)"]
    recorded = tmp_path / "candidates.jsonl"
    recorded.write_text(json.dumps({"id": "r1", "items": titles}) + "\n")
    target = write_pipeline(tmp_path / "p.yaml", "baseline:popularity", first=f"replay:{recorded}")
    (answer,) = loaded(target).recommender.recommend([request()])
    assert {item.item_id for item in answer.items} == {"4", "8", "20"} - {
        item.id for item in request().history
    }


def test_a_function_gets_the_candidates_in_request_and_prompt(tmp_path, monkeypatch):
    (tmp_path / "shop_ranker.py").write_text(
        "def rank(requests):\n"
        "    for r in requests:\n"
        "        assert all(f'- {c.title}' in r.prompt for c in r.candidates)\n"
        "    return [[c.title for c in r.candidates][-r.k:] for r in requests]\n"
    )
    target = write_pipeline(tmp_path / "p.yaml", f"python:{tmp_path}/shop_ranker.py:rank")
    found = loaded(target, allow_code=True)
    (answer,) = found.recommender.recommend([request()])
    (retrieval, _) = stage_records(answer)
    assert [i.raw for i in answer.items] == [i.raw for i in retrieval.items][-5:]
    assert found.code["sha256"]


def test_a_mitigation_in_front_of_a_pipeline_edits_what_all_stages_read(tmp_path):
    with ranking(lambda candidates: candidates[:5]) as (url, prompts):
        target = write_pipeline(tmp_path / "p.yaml", f"openai:{url}#m")
        edited = loaded(f"instructed:{target}").recommender
        assert edited.stages == ("retrieval", "ranking")
        user = load_users(world())[0]
        asked = neutral_request(user, k=5)
        (answer,) = edited.recommend(
            [Request(**{**asked.__dict__, "id": "r1", "prompt": edited.render(asked)})]
        )
    assert len(stage_records(answer)) == 2
    assert prompts[0] == answer.trace[-1]["prompt"]
    assert prompts[0].count("\n- ") >= 20
    assert not prompts[0].startswith("I am")


@pytest.mark.parametrize("same", [True, False])
def test_a_stage_that_was_trained_on_other_data_is_declared(tmp_path, same):
    data = world().fingerprint if same else "0" * 64
    training = TrainingRecord(
        recipe="r", seed=0, data_sha256=data, fit="all_but_test", tie_seed=0, steps=1, parameters=1
    )
    folder = save(tmp_path / "tiny", training=training)
    found = loaded(write_pipeline(tmp_path / "p.yaml", "baseline:ease", first=str(folder)))
    assert bool(found.manifest) is not same
    if same:
        return
    context = Context(world(), 0, "utility.stages", found.manifest, load_users(world()))
    with pytest.raises(NotAssessable, match="training on other data"):
        require_unseen_test_items(context)


def test_a_domain_pack_without_a_wording_for_choices_still_shows_the_candidates(tmp_path):
    pack = domain_pack("movies")
    tasks = {"like": Prompts.shipped("titles", pack).as_mapping()["tasks"]["like"]}
    own = pack.model_copy(update={"templates": {"titles": {"tasks": tasks}}})
    stage = build_stage("ranking", Clean(), n=None, first=False, prompt=None, pack=own)
    assert stage.render(request()).endswith("Name only movies of this list:\n- {candidates}")
