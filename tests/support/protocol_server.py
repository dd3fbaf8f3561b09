"""A local server that speaks the OpenAI protocol and misbehaves on request.

A prompt may name a fault (`FAULT:http_500`); `once` faults happen at the first attempt only.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

from local_http import running

LIST = "1. Toy Story (1995)\n2. Fargo (1996)\n3. Heat (1995)"
FAULT = re.compile(r"FAULT:(\w+)")


class Behavior:
    """What the server does and what it saw."""

    def __init__(self, **options):
        self.chat = options.get("chat", True)
        self.scores = options.get("scores", False)
        self.status = options.get("status")  # for every request
        self.dies_after = options.get("dies_after")
        self.key = options.get("key")
        self.delay = options.get("delay", lambda call: 0.0)
        self.every_third = options.get("every_third", False)
        self.faults = options.get("faults", ())  # one after the other, by distinct prompt
        self.text = options.get("text", LIST)
        self.window = options.get("window")  # in words; a longer prompt is refused, or cut
        self.cuts = options.get("cuts", False)
        self.echo_faults = options.get("echo_faults", 0)
        self.echo_usage = options.get("echo_usage")
        self.shifted = options.get("shifted", False)
        self.lists_new_token = options.get("lists_new_token", True)
        self.calls, self.prompts, self.bodies = 0, Counter(), []
        self.running = self.most_running = self.stalled = 0
        self.closing = threading.Event()
        self.lock = threading.Lock()

    def fault_of(self, prompt):
        if not self.faults:
            return ""
        return self.faults[list(self.prompts).index(prompt) % len(self.faults)]


def answer(text, *, chat, reason="stop", prompt_tokens=7):
    choice = {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
    return {
        "choices": [{**choice, "finish_reason": reason}],
        "usage": {"prompt_tokens": prompt_tokens, "completion_tokens": 5},
    }


def echo(prompt):
    """One token per word, each as likely as it is long."""
    words = re.findall(r"\s*\S+", prompt)
    starts = [sum(map(len, words[:i])) for i in range(len(words))]
    scores = [None, *(-0.5 * len(word) for word in words[1:])]
    return {
        "choices": [
            {
                "text": prompt + " x",
                "finish_reason": "length",
                "logprobs": {
                    "tokens": [*words, " x"],
                    "text_offset": [*starts, len(prompt)],
                    "token_logprobs": [*scores, -1.0],
                },
            }
        ]
    }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_POST(self):
        seen = self.server.behavior
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.path.endswith("/completions"):
            return self.send(b"{}", status=404)
        chat = self.path.endswith("/chat/completions")
        prompt = body["messages"][-1]["content"] if chat else body["prompt"]
        with seen.lock:
            seen.calls += 1
            call = seen.calls
            seen.prompts[prompt] += 1
            attempt = seen.prompts[prompt]
            seen.bodies.append(body)
            seen.running += 1
            seen.most_running = max(seen.most_running, seen.running)
        try:
            time.sleep(seen.delay(call))
            self.respond(seen, body, prompt, chat=chat, attempt=attempt, call=call)
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            with seen.lock:
                seen.running -= 1

    def respond(self, seen, body, prompt, *, chat, attempt, call):
        if seen.dies_after is not None and call > seen.dies_after:
            return self.send(b"", status=500)
        if seen.status:
            return self.send(b"{}", status=seen.status)
        if seen.key and self.headers.get("Authorization") != f"Bearer {seen.key}":
            return self.send(json.dumps({"error": self.headers.get("Authorization")}), status=401)
        if chat and not seen.chat:
            return self.send(b"{}", status=404)
        if body.get("echo"):
            if seen.echo_faults > 0:
                seen.echo_faults -= 1
                return self.send(b"", status=503)
            found = echo(prompt) if seen.scores else {"choices": [{"text": ""}]}
            if seen.echo_usage:
                found["usage"] = {"prompt_tokens": seen.echo_usage}
            if seen.shifted:  # every token has the score of the one behind it
                table = found["choices"][0]["logprobs"]
                table["token_logprobs"] = [*table["token_logprobs"][1:], -1.0]
                table["token_logprobs"][-2] = -3.0
            if not seen.lists_new_token:  # as llama-cpp-python does: counted, and left out
                for values in found["choices"][0]["logprobs"].values():
                    values.pop()
                found["usage"] = {"completion_tokens": 1}
            return self.send(json.dumps(found))
        if "logprobs" in body and seen.scores:
            table = {"tokens": [" x"], "token_logprobs": [-1.0], "text_offset": [len(prompt)]}
            return self.send(json.dumps({"choices": [{"text": " x", "logprobs": table}]}))
        if seen.every_third and call % 3 == 0:
            return self.send(b"", status=503)
        if seen.window:
            return self.read(len(prompt.split()), seen, chat=chat)
        fault = FAULT.search(prompt)
        name = fault[1] if fault else seen.fault_of(prompt)
        if name.endswith("_once") and attempt > 1:
            name = ""
        return getattr(self, name.removesuffix("_once") or "good")(chat)

    def send(self, content, *, status=200, headers=(), length=None, kind="application/json"):
        content = content.encode() if isinstance(content, str) else content
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        if length is not None:
            self.close_connection = True

    def good(self, chat):
        self.send(json.dumps(answer(self.server.behavior.text, chat=chat)))

    def read(self, n_words, seen, *, chat):
        if n_words > seen.window and not seen.cuts:
            said = f"This model's maximum context length is {seen.window} tokens."
            return self.send(json.dumps({"error": {"message": said}}), status=400)
        read = min(n_words, seen.window)
        return self.send(json.dumps(answer(seen.text, chat=chat, prompt_tokens=read)))

    def tools(self, chat):
        found = answer(LIST, chat=True)
        call = {"name": "search", "arguments": '{"query": "films"}'}
        found["choices"][0]["message"]["tool_calls"] = [{"type": "function", "function": call}]
        self.send(json.dumps(found))

    def bad_tools(self, chat):
        found = answer(LIST, chat=True)
        call = {"name": "search", "arguments": {"query": ["films"]}}
        found["choices"][0]["message"]["tool_calls"] = [{"type": "function", "function": call}]
        self.send(json.dumps(found))

    def http_429(self, chat):
        self.send("{}", status=429, headers=[("Retry-After", "0")])

    def wait_long(self, chat):
        self.send("{}", status=429, headers=[("Retry-After", "4000")])

    def http_500(self, chat):
        self.send("<h1>oops</h1>", status=500, kind="text/html")

    def http_404(self, chat):
        self.send("{}", status=404)

    def redirect(self, chat):
        self.send("", status=307, headers=[("Location", "http://127.0.0.1:9/")])

    def half(self, chat):
        whole = json.dumps(answer(LIST, chat=chat)).encode()
        self.send(whole[: len(whole) // 2], length=len(whole))

    def stalls(self):
        seen = self.server.behavior
        with seen.lock:
            seen.stalled += 1

    def hang(self, chat):
        self.stalls()
        self.server.behavior.closing.wait()

    def trickle(self, chat):
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b" ")
        self.stalls()
        for _ in range(900):
            self.wfile.write(b" ")
            self.wfile.flush()
            if self.server.behavior.closing.wait(0.05):
                break

    def bad_json(self, chat):
        self.send('{"choices": [')

    def html(self, chat):
        self.send("<html>maintenance</html>", kind="text/html")

    def error_object(self, chat):
        self.send('{"error": {"message": "no"}}')

    def wrong_shape(self, chat):
        self.send('{"choices": [{"delta": 1}]}')

    def nothing(self, chat):
        self.send('{"choices": []}')

    def null(self, chat):
        self.send(json.dumps(answer(None, chat=chat)))

    def filtered(self, chat):
        self.send(json.dumps(answer("", chat=chat, reason="content_filter")))

    def cut(self, chat):
        self.send(json.dumps(answer("1. Toy Story (1995)\n2. Far", chat=chat, reason="length")))

    def huge(self, chat):
        self.send(b" " * (17 << 20))

    def hostile(self, chat):
        text = (
            "1. \u202eFargo\x1b[31m (1996)\n2. <script>alert(1)</script>\n3. [/bar] \u2603 =cmd|x"
        )
        self.send(json.dumps(answer(text, chat=chat)))


@contextmanager
def serving(**options):
    """A running server: (base URL, what it saw)."""
    with running(Handler, behavior=Behavior(**options)) as server:
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1", server.behavior
        finally:
            server.behavior.closing.set()
