"""Readers of strangers' bytes on mutated inputs: only documented errors, little time and memory.

`AUDITKIT_FUZZ_INPUTS` sets the number of inputs per reader and `AUDITKIT_FUZZ_SEED` the seed; a
failure prints the seed, the number of the input and the input. Parquet, RDF and Neo4j are parsed by
other packages and are not part of this test.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from random import Random

import pytest
from mutations import limited_time, mutated, peak_bytes, start_peak
from server_formats import FORMATS, VLLM, starts, table

from auditkit.catalog.datasets.user_tables import load_own_data
from auditkit.catalog.sources.column_mapping import TableMapping
from auditkit.catalog.sources.recbole import add_graph, add_items
from auditkit.catalog.sources.table_source import add_table
from auditkit.catalog.storage.draft import CatalogDraft, content_sha256
from auditkit.errors import AuditkitError
from auditkit.recommenders.adapters.replay import ReplayRecommender
from auditkit.recommenders.prompting.answers import read_list
from auditkit.recommenders.remote.completion import response_to, saying
from auditkit.recommenders.remote.echo_logprobs import continuation_logprobs
from auditkit.recommenders.remote.error_body import error_of_status
from auditkit.recommenders.remote.http_client import _object, seconds_of
from auditkit.serialization.canonical_json import canonical_json
from auditkit.types import Request

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

N_INPUTS = int(os.environ.get("AUDITKIT_FUZZ_INPUTS", "200000"))
SEED = int(os.environ.get("AUDITKIT_FUZZ_SEED", "0"))
SECONDS, MOST_BYTES = 2.0, 300 << 20
CHUNK = 1000

PROMPT, CONTINUATION = "I like", " Heat (1995)"
REQUEST = Request(id="r", prompt=PROMPT, k=3)
SENT = {"model": "films", "temperature": 0.0, "seed": 1, "max_tokens": 512, "messages": []}
LIST = "1. Heat (1995)\n2. Fargo (1996)\n3. Casino (1995)"


def fuzz(name, seeds, read, *, n_inputs=N_INPUTS):
    """Call `read(content, rng)` on mutated inputs; only AuditkitError may come out."""
    before, n_read = start_peak(), 0
    print(f"{name}: {n_inputs} inputs, seed {SEED}")
    with limited_time(SECONDS) as restart:
        for number in range(n_inputs):
            if number % CHUNK == 0:
                rng = Random(f"{name} {SEED} {number}")
                assert peak_bytes() - before < MOST_BYTES, f"memory, before input {number}"
            content = mutated(rng.choice(seeds), seeds, rng)
            restart()
            try:
                read(content, rng)
                n_read += 1
            except AuditkitError:
                pass
            except BaseException as error:
                shown = f"{type(error).__name__} on input {number}, seed {SEED}: {content[:2000]!r}"
                raise AssertionError(shown) from error
    assert peak_bytes() - before < MOST_BYTES
    print(f"{n_read} inputs were read, the others refused")
    assert n_read > 0.02 * n_inputs  # most inputs must not be damaged beyond any reading


def memory_folder(other):
    """A folder in memory where the system has one."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        return other
    folder = memory / f"auditkit-fuzz-{os.getpid()}"
    folder.mkdir(exist_ok=True)
    return folder


# --- answers of a server


def recorded(response):
    """The run log must be able to record every response."""
    canonical_json(asdict(response))


def read_completion(content, rng):
    """As the endpoint does, behind the HTTP client; see test_openai_endpoint.py for the client."""
    result = _object(content, SENT)
    if rng.random() < 0.3:
        canonical_json(continuation_logprobs(PROMPT, CONTINUATION, result))
    completion = saying(result, chat=rng.random() < 0.7)
    for listed in (True, False):
        recorded(response_to(REQUEST, completion, listed=listed))


def answer_seeds():
    chats = [server.chat(LIST) for server in FORMATS]
    chats += [server.chat(None, reason="length") for server in FORMATS]
    tokens = [PROMPT, " Heat", " (1995)", "."]
    lists = table(tokens, [None, -1.5, -0.25, -2.0], starts(tokens))
    echoes = [server.completion("".join(tokens), logprobs=lists) for server in FORMATS]
    plain = [server.completion(LIST) for server in FORMATS]
    called = [server.chat(LIST, tool_calls=[server.tool_call(1)]) for server in FORMATS]
    parts = [{"type": "text", "text": "1. Heat (1995)"}, {"type": "refusal", "refusal": "no"}]
    values = [*chats, *echoes, *plain, *called, VLLM.chat(parts)]
    return [json.dumps(value).encode() for value in values]


def error_seeds():
    bodies = [body for server in FORMATS for _, body in server.errors.values()]
    bodies.append({"detail": [{"loc": ["body", "seed"], "msg": "extra fields not permitted"}]})
    bodies.append({"error": {"code": 400, "message": "x", "inner": {"content_filter_result": {}}}})
    return [json.dumps(body).encode() for body in bodies]


TEXTS = [
    LIST,
    "- Heat (1995)\n- Fargo (1996)",
    '```json\n["Heat (1995)", "Fargo (1996)"]\n```',
    '{"recommendations": [{"title": "Heat", "year": 1995}]}',
    "Heat (1995); Fargo (1996)",
    "Heat (1995), Fargo (1996) and Casino (1995)",
    "Heat (1995)\nFargo (1996)\n",
    "<think>Heat? No.</think>\n1. **Fargo (1996)** - a dark comedy\n2. *Casino (1995)*",
    "<|channel|>analysis<|message|>Heat?<|end|><|channel|>final<|message|>1. Fargo<|return|>",
    "analysisThe user wants films.assistantfinal1. Heat\n2. Fargo",
    "I can't help with that.",
]
DATES = [b"3", b"120", b"Wed, 21 Oct 2026 07:28:00 GMT", b"Sunday, 06-Nov-94 08:49:37 GMT"]


def test_completions_of_a_server_are_read_or_refused():
    fuzz("completions", answer_seeds(), read_completion)


def test_errors_of_a_server_are_classified():
    def read(content, rng):
        after = mutated(rng.choice(DATES), DATES, rng).decode("latin-1")
        error = error_of_status(
            rng.choice((301, 400, 402, 404, 422, 429, 500, 503)),
            content.decode("utf-8", "replace"),
            sent=SENT,
            retry_after=seconds_of(after, now=1.8e9),
        )
        assert error.reason
        _object(content, SENT)

    fuzz("errors", error_seeds(), read)


def test_list_reader_reads_or_refuses_any_text():
    def read(content, rng):
        answer = read_list(
            content.decode("utf-8", "replace"), k=rng.choice((None, 3)), cut=rng.random() < 0.3
        )
        assert (answer.status == "ok") <= bool(answer.items)
        assert all(item.raw.strip() for item in answer.items)
        canonical_json([item.raw for item in answer.items])

    fuzz("texts", [text.encode() for text in TEXTS], read)


# --- recorded answers

RECORDS = [
    b'{"id": "a", "text": "1. Heat (1995)"}\n{"id": "b", "items": ["Fargo (1996)", "Heat"]}\n',
    b'{"id": "a", "text": null}\n\n{"items": [], "id": "b"}\r\n',
    '{"id": "a", "items": ["Am\u00e9lie (2001)", "one\u2028two"], "seconds": 1.5}\n'.encode(),
]


def test_recorded_answers_are_read_or_refused(tmp_path):
    path = memory_folder(tmp_path) / "answers.jsonl"
    requests = [Request(id="a"), Request(id="b")]

    def read(content, rng):
        path.write_bytes(content)
        for answer in ReplayRecommender(path).recommend(requests):
            if isinstance(answer, str):
                read_list(answer, k=3)
            elif isinstance(answer, list):
                assert all(isinstance(title, str) for title in answer)

    fuzz("recorded answers", RECORDS, read)


# --- tables and graph files

CSV = """id,title,year,genres,director
1,Heat,1995,Crime|Drama,Mann
2,"Fargo, the",1996,Crime,Coen
"""
QUOTED = """item_id,name,class,aliases
b1,Emma (1815),"['Novel', 'Comedy']",Emma!|E
b2,Ulysses,,
"""
TSV = 'id\ttitle\tyear\truntime\n1\t"Weird Al" Show\t1997\t30\n2\tHeat\t\\N\t170\n'
JSON_LINES = """{"id": 1, "title": "Heat", "year": 1995, "genres": ["Crime"], "cost": 6e7}
{"id": "2", "title": "Fargo (1996)", "genres": "Crime|Drama", "director": null}
"""
AMAZON_LINES = """{"parent_asin": "B1", "title": "Mug", "price": 4.5, "details": {"Brand": "A"}}
"""
TABLES = [text.encode() for text in (CSV, QUOTED, TSV, JSON_LINES, AMAZON_LINES)]
MAPPING = TableMapping.model_validate(
    {
        "items": {"id": "id", "title": "title"},
        "predicates": {
            "runtime": {"column": ["runtime", "cost"], "type": "integer", "world": "functional"},
            "released": {"column": "year", "type": "date"},
            "sequel": {"column": "director", "type": "item"},
        },
    }
)


def _kind_of(content):
    """The suffix of the table that a mutated copy still looks like."""
    return ".jsonl" if content.startswith(b"{") else ".tsv" if b"\t" in content[:30] else ".csv"


def test_tables_are_read_or_refused(tmp_path):
    folder = memory_folder(tmp_path)

    def read(content, rng):
        path = folder / f"films{_kind_of(content)}"
        path.write_bytes(content)
        draft = CatalogDraft()
        add_table(draft, path, rng.choice((None, None, MAPPING)), strict=rng.random() < 0.2)
        assert len(draft) == len(set(draft.ids)) >= 1
        assert all(title.strip() for title in draft.titles)
        content_sha256(draft, draft.graph.encode(len(draft)))

    fuzz("tables", TABLES, read)


ATOMIC = {
    "item": """item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\trun:float
1\tHeat\t1995\tCrime Drama\t170
2\tFargo (1996)\t\tCrime\t98.5
""",
    "link": "item_id:token\tentity_id:token\n1\tm.01\n2\tm.02\n",
    "kg": """head_id:token\trelation_id:token\ttail_id:token
m.01\tfilm.film.genre\tm.9
m.02\tfilm.film.directed_by\tm.01
""",
}


def test_graph_files_are_read_or_refused(tmp_path):
    paths = {kind: memory_folder(tmp_path) / f"films.{kind}" for kind in ATOMIC}

    def read(content, rng):
        for kind, path in paths.items():
            path.write_text(ATOMIC[kind])
        paths[rng.choice(list(paths))].write_bytes(content)
        draft = CatalogDraft()
        add_items(draft, paths["item"])
        add_graph(draft, paths["kg"], paths["link"])
        content_sha256(draft, draft.graph.encode(len(draft)))

    fuzz("graph files", [text.encode() for text in ATOMIC.values()], read)


OWN = {
    "events.csv": b"user,item,timestamp,stars\nu1,1,100,4.5\nu1,2,200,3\nu2,1,150,\nu2,2,160,5\n",
    "items.jsonl": b'{"id": "1", "title": "Heat", "year": 1995}\n{"id": "2", "title": "Fargo"}\n',
    "users.jsonl": b'{"id": "u1", "gender": "F", "age": 31}\n{"id": "u2", "gender": null}\n',
    "events.jsonl": b'{"user": "u1", "item": 1, "timestamp": 100, "stars": 4.5}\n'
    b'{"user": "u2", "item": "2", "timestamp": 1.5e2, "stars": 2}\n',
}
DESCRIPTION = """version: 1
name: own
strict: {strict}
interactions: {{file: {events}, rating: stars}}
items: {{file: items.jsonl, year: year}}
users: {{file: users.jsonl, attributes: [gender, age]}}
"""


def test_own_tables_are_read_or_refused(tmp_path):
    folder = memory_folder(tmp_path)
    described = []
    for events in ("events.csv", "events.jsonl"):
        for strict in ("true", "false"):
            described.append(folder / f"{events}-{strict}.yaml")
            described[-1].write_text(DESCRIPTION.format(events=events, strict=strict))

    def read(content, rng):
        for name, valid in OWN.items():
            (folder / name).write_bytes(valid)
        (folder / rng.choice(list(OWN))).write_bytes(content)
        assert load_own_data(rng.choice(described)).fingerprint

    # Four files and a description are read for every input, 1 ms each: a quarter of the inputs.
    fuzz("own tables", list(OWN.values()), read, n_inputs=N_INPUTS // 4)


# --- control mutations: changed items must be read as changed

NAMES = ["Heat", "Fargo", "Casino", "Emma", "Ulysses", "Up", "Alien", "Jaws", "Brazil", "Ran"]


def changed(titles, rng):
    """A list with a title replaced by an invented one, an item dropped, or two items swapped."""
    found, place = list(titles), rng.randrange(len(titles))
    kind = rng.choice(("replace", "drop", "swap"))
    if kind == "replace":
        found[place] = f"Invented{rng.randrange(10**6)}"
    elif kind == "drop":
        del found[place]
    else:
        other = (place + rng.randrange(1, len(found))) % len(found)
        found[place], found[other] = found[other], found[place]
    return found


WRITTEN = {
    "numbers": lambda titles: "\n".join(f"{n}. {t} (1995)" for n, t in enumerate(titles, 1)),
    "bullets": lambda titles: "\n".join(f"- **{t} (1995)**" for t in titles),
    "json": lambda titles: json.dumps([f"{t} (1995)" for t in titles]),
    "objects": lambda titles: json.dumps({"items": [{"title": f"{t} (1995)"} for t in titles]}),
    "semicolons": lambda titles: "; ".join(f"{t} (1995)" for t in titles),
    "lines": lambda titles: "\n".join(f"{t} (1995)" for t in titles),
}


def controls(name):
    """Pairs of titles: a list, and the list after a control mutation."""
    rng = Random(f"{name} {SEED}")
    for _ in range(N_INPUTS // 20):
        titles = rng.sample(NAMES, rng.randrange(3, 8))
        yield titles, changed(titles, rng), rng


def test_changed_lists_of_a_server_are_read_as_changed():
    for titles, others, rng in controls("lists"):
        write = WRITTEN[rng.choice(list(WRITTEN))]
        lists = []
        for several in (titles, others):
            result = _object(json.dumps(VLLM.chat(write(several))).encode(), SENT)
            response = response_to(REQUEST, saying(result, chat=True), listed=True)
            lists.append([item.raw for item in response.items])
            assert lists[-1] == [f"{title} (1995)" for title in several]
        assert lists[0] != lists[1]


def test_changed_records_are_read_as_changed(tmp_path):
    path = memory_folder(tmp_path) / "changed.jsonl"
    for titles, others, _ in controls("records"):
        lists = [
            json.dumps({"id": name, "items": one})
            for name, one in zip("ab", (titles, others), strict=True)
        ]
        path.write_text("\n".join(lists))
        found = ReplayRecommender(path).recommend([Request(id="a"), Request(id="b")])
        assert found == [titles, others]


def test_changed_tables_are_read_as_changed(tmp_path):
    folder = memory_folder(tmp_path)
    for titles, others, rng in controls("tables"):
        found = []
        kind = rng.choice(("csv", "tsv", "jsonl"))
        for several in (titles, others):
            rows = [(str(n), title) for n, title in enumerate(several)]
            if kind == "jsonl":
                text = "\n".join(json.dumps({"id": n, "title": title}) for n, title in rows)
            else:
                comma = "," if kind == "csv" else "\t"
                text = "\n".join(comma.join(row) for row in [("id", "title"), *rows])
            path = folder / f"changed.{kind}"
            path.write_text(text)
            draft = CatalogDraft()
            add_table(draft, path)
            assert draft.titles == several
            found.append(content_sha256(draft, draft.graph.encode(len(draft))))
        assert found[0] != found[1]
