"""Test-time neutralisation: what it finds, what it leaves alone, and what its wrapper offers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted_recommenders import Clean
from protocol_server import serving
from small_world import world
from training_recipes import small_recipe

from auditkit.domains.shipped import domain_pack
from auditkit.errors import TargetUnavailable
from auditkit.recommenders.loading.load import load_recommender
from auditkit.recommenders.prompting.attribute_phrases import known_values, shipped_wordings
from auditkit.recommenders.prompting.prompts import Prompts, describe_user
from auditkit.recommenders.protocols import Differentiable, Generates, Recommends, Remote, Scores
from auditkit.recommenders.remote.openai_endpoint import Endpoint
from auditkit.recommenders.remote.transport import Transport
from auditkit.recommenders.target_uri import restriction_for
from auditkit.recommenders.wrappers.edited_requests import EditedRequests
from auditkit.recommenders.wrappers.neutralization import Neutralizer
from auditkit.recommenders.wrappers.wrap import INSTRUCTION
from auditkit.security.network_guard import NetworkForbidden
from auditkit.training.loop import train
from auditkit.types import Item, Message, Request

USERS = world().interactions.attributes
NEUTRALISER = Neutralizer(shipped_wordings(), known_values(USERS))


class Reads:
    """Keeps what it was asked, whatever the question."""

    name = "reads"

    def __init__(self):
        self.seen = []

    def recommend(self, requests):
        self.seen += requests
        return [["Silver Harbor"] for _ in requests]

    def generate(self, prompts, *, max_new_tokens, temperature, seeds):
        self.seen += prompts
        return ["" for _ in prompts]

    def embed(self, texts):
        self.seen += texts
        return np.zeros((len(texts), 2), dtype=np.float32)


@given(
    user=st.sampled_from(USERS),
    names=st.sets(st.sampled_from(["gender", "age", "occupation"])),
)
def test_every_description_of_a_user_of_the_data_becomes_the_neutral_one(user, names):
    stated = describe_user({name: user[name] for name in names})
    text = NEUTRALISER.text(f"Movies for {stated}, please.", in_words_of_the_data=True)
    assert text == f"Movies for {describe_user({})}, please."


@pytest.mark.parametrize("attribute", sorted(shipped_wordings().attributes))
def test_every_listed_phrase_is_found_in_either_language(attribute):
    wordings = shipped_wordings()
    for value in wordings.attributes[attribute].values:
        assert NEUTRALISER.text(f"I am {value.phrase}.") == "I am a person."
        assert NEUTRALISER.text(value.german.capitalize()) == "eine Person"


def test_a_phrase_of_both_wordings_gets_the_neutral_one_of_its_request():
    stated = Request(attributes={"occupation": "student"}, prompt="for a student")
    assert NEUTRALISER.request(stated).prompt == "for a user"
    assert NEUTRALISER.request(replace(stated, who="a student")).prompt == "for a person"


def test_an_allowed_attribute_stays_in_both_wordings():
    values = known_values(USERS)
    allowing = Neutralizer(shipped_wordings(), values, allow=["age"])
    assert allowing.text("for a female student aged under 25") == "for a user aged under 25"
    assert allowing.text("I am a woman, not a 70-year-old.") == "I am a person, not a 70-year-old."


def test_titles_of_the_request_are_left_alone():
    film = Item("1", "A Woman (1995)")
    request = Request(history=(film,), prompt="I am a woman and liked A Woman (1995).")
    assert NEUTRALISER.request(request).prompt == "I am a person and liked A Woman (1995)."


def test_titles_stay_in_the_instruction_and_elsewhere_in_every_text():
    film = Item("1", "Scent of a Woman (1992)")
    stated = Request(history=(film,), instruction="I am a woman and liked Scent of a Woman (1992).")
    edited = NEUTRALISER.request(stated).instruction
    assert edited == "I am a person and liked Scent of a Woman (1992)."
    knows = Neutralizer(shipped_wordings(), known_values(USERS), catalog=[film.title, "Fargo"])
    assert knows.text(stated.instruction) == edited
    assert knows.titles == [film.title]


@pytest.mark.parametrize("title", ["a", "I", "woman", "", " "])
def test_a_title_that_is_part_of_a_phrase_does_not_hide_it(title):
    assert NEUTRALISER.text("I am a woman.", titles=[title]) == "I am a person."


def test_a_catalog_title_that_is_nothing_but_a_phrase_is_not_left_alone_everywhere():
    knows = Neutralizer(shipped_wordings(), known_values(USERS), catalog=["a woman"])
    assert knows.text("I am a woman.") == "I am a person."


def test_words_inside_other_words_are_left_alone():
    text = "a womanly voice, a studentship, a user, female, somebody"
    assert NEUTRALISER.text(text) == text


def test_values_are_found_as_prompts_with_item_references_write_them():
    neutralizer = Neutralizer(shipped_wordings(), {"age": ["<25", "25+"]})
    prompts = Prompts.shipped("item_tokens", domain_pack("movies"))
    request = Request(attributes={"age": "<25"}, history=(Item("1", "x"),))
    neutral = prompts.render(replace(request, attributes={}))
    assert neutralizer.text(prompts.render(request)) == neutral


@given(user=st.sampled_from(USERS), wording=st.integers(0, 11))
def test_an_edited_request_is_the_neutral_request(user, wording):
    prompts = Prompts.shipped("item_tokens", domain_pack("movies"))
    neutral = Request(
        id="r", history=(Item("1", "x"),), instruction=prompts.recommend[wording], k=7
    )
    stated = replace(neutral, attributes=user)
    edited = NEUTRALISER.request(replace(stated, prompt=prompts.render(stated)))
    assert edited == replace(neutral, prompt=prompts.render(neutral))


def test_every_way_to_ask_reads_neutral_words():
    behind = Reads()
    wrapper = EditedRequests("n", behind, request=NEUTRALISER.request, text=NEUTRALISER.text)
    request = Request(who="a man", prompt="for a man", messages=(Message("user", "I am a man."),))
    wrapper.recommend([request])
    wrapper.generate(["for a man"], max_new_tokens=1, temperature=0.0, seeds=[0])
    wrapper.embed(["for a man"])
    asked, *texts = behind.seen
    assert (asked.who, asked.prompt) == ("a person", "for a person")
    assert asked.messages[0].content == "I am a person."
    assert texts == ["for a person", "for a person"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "small"
    return train(small_recipe(steps=2), folder, dataset=world())


@pytest.mark.parametrize("prefix", ["neutralized:", "neutralized:instructed:"])
def test_stated_and_neutral_requests_get_the_same_list_and_scores(model, prefix):
    neutral = Request(history=tuple(Item(str(row), "x") for row in (3, 1, 4)), k=10)
    requests = [neutral, *(replace(neutral, attributes=user) for user in USERS[:6])]

    def answers(target):
        recommender = load_recommender(target, dataset=world()).recommender
        asked = [replace(r, prompt=recommender.render(r)) for r in requests]
        return [
            [(item.item_id, item.score) for item in a.items] for a in recommender.recommend(asked)
        ]

    plain, wrapped = answers(str(model)), answers(f"{prefix}{model}")
    assert len({str(answer) for answer in plain}) > 1
    assert len({str(answer) for answer in wrapped}) == 1


def test_templates_and_manifest_of_a_model_stay_known_behind_a_prefix(model):
    loaded = load_recommender(f"reranked:0.5:neutralized:{model}", dataset=world())
    plain = load_recommender(str(model), dataset=world())
    assert loaded.manifest == plain.manifest
    assert loaded.recommender.prompts == plain.recommender.prompts
    assert loaded.verified
    assert len(loaded.notes) == len(plain.notes) + 2


def test_a_wrapper_offers_what_the_recommender_behind_it_can_do_and_not_its_model():
    behind = Reads()
    wrapper = EditedRequests("n", behind, request=NEUTRALISER.request, text=NEUTRALISER.text)
    assert isinstance(wrapper, Recommends)
    assert isinstance(wrapper, Generates)
    assert not isinstance(wrapper, Scores)
    assert not isinstance(wrapper, Remote)
    behind.model, behind.tokenizer = object(), object()
    assert isinstance(behind, Differentiable)
    again = EditedRequests("n", behind, request=NEUTRALISER.request, text=NEUTRALISER.text)
    assert not isinstance(again, Differentiable)
    clean = EditedRequests("n", Clean(), request=NEUTRALISER.request, text=NEUTRALISER.text)
    assert isinstance(clean, Scores) == isinstance(Clean(), Scores)


def test_a_target_behind_a_prefix_is_another_target():
    plain = load_recommender("baseline:popularity", dataset=world())
    loaded = [
        load_recommender(f"{prefix}:baseline:popularity", dataset=world())
        for prefix in (
            "neutralized", "neutralized(allow=age)", "instructed", "neutralized:instructed",
            "instructed:neutralized", "reranked:0.3", "reranked:0.31", "reranked(groups=genre):0.3",
        )
    ]  # fmt: skip
    assert len({one.fingerprint for one in (plain, *loaded)}) == 9
    assert {one.kind for one in loaded} == {"baseline"}
    assert loaded[3].recommender.name == "neutralized:instructed:baseline:popularity"
    assert not loaded[3].recommender.reads_prompt
    assert "by construction" in loaded[0].notes[-1]


@pytest.mark.parametrize(
    ("target", "remedy"),
    [
        ("neutralized(allow=ages):baseline:popularity", "Did you mean 'age'"),
        ("neutralized(only=age):baseline:popularity", r"Write neutralized\(allow=..\):TARGET"),
        ("instructed(allow=age):baseline:popularity", "Write instructed:TARGET"),
        ("reranked:baseline:popularity", "Write reranked:LAMBDA:TARGET"),
        ("reranked:-1:baseline:popularity", "a number of at least 0"),
        ("reranked(groups=color):1:baseline:popularity", "groups=genre"),
        ("neutralized:baseline:popularty", "unknown baseline"),
        ("neutralized:nothing", "unknown target"),
    ],
)
def test_a_wrong_prefix_says_how_to_write_it(target, remedy):
    with pytest.raises(TargetUnavailable, match=remedy):
        load_recommender(target, dataset=world())


def test_a_served_model_reads_neutral_words_and_keeps_its_limits():
    asked = Request(id="r", prompt="Films for a woman", messages=(Message("system", "A man."),))
    with serving() as (url, seen):
        target = f"neutralized:instructed:openai:{url}#m"
        recommender = load_recommender(target, dataset=world(), connects=False).recommender
        transport = Transport(recommender)
        try:
            (response,) = transport.ask([("recommend", asked, {})])
        finally:
            transport.close()
    assert response.status == "ok"
    assert isinstance(recommender, Remote)
    assert recommender.request_limits == Endpoint(f"{url}#m").request_limits
    turns = [turn["content"] for turn in seen.bodies[-1]["messages"]]
    assert turns == ["a person.", f"{INSTRUCTION}Films for a person"]


def test_an_endpoint_behind_a_prefix_may_be_reached_and_nothing_else_may():
    lookup = ("socket.getaddrinfo", ("model.example",))
    restriction_for("neutralized:instructed:openai:https://model.example/v1#m").inspect(*lookup)
    with pytest.raises(NetworkForbidden):
        restriction_for("neutralized:models/openai").inspect(*lookup)


def test_recorded_answers_cannot_be_asked_in_other_words(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id": "a", "text": "x"}\n')
    with pytest.raises(TargetUnavailable, match="recorded responses"):
        load_recommender(f"neutralized:replay:{tmp_path}/a.jsonl", dataset=world())


def test_a_wrapped_language_model_still_says_how_large_it_is():
    class Small(Clean):
        n_parameters = 1_000

    def wrapped(recommender):
        return EditedRequests("w", recommender, request=lambda r: r, text=lambda t: t)

    assert wrapped(Small()).n_parameters == 1_000
    assert not hasattr(wrapped(Clean()), "n_parameters")
