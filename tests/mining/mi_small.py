"""Four documents, a teacher who knows about them, an untrained decoder with the words for it, a server."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from msig_lib.lm.decoder import build_decoder, build_tokenizer
from msig_lib.lm.generate import Completion, Usage
from msig_lib.lm.local import LocalModel
from msig_lib.mining.documents import Document, Mined
from msig_lib.mining.parse import write_output
from msig_lib.mining.prompts import short_pair_prompt, short_prompt

COLOURS = "red blue green grey".split()
DOCUMENTS = [
    Document(f"d{i}", thing, (f"The {thing} is {COLOURS[i]}.", "That is nice."))
    for i, thing in enumerate(["boat", "bell", "pump", "cart"])
]


class Knows:
    """A teacher that knows the colours, says so with or without an analysis, and is wrong as `wrong` says."""

    name, fingerprint = "knows", "f" * 8

    def __init__(self, analysis=True, wrong=lambda document, seed: False):
        self.analysis, self.wrong, self.asked = analysis, wrong, []

    def ask(self, items, *, seed):
        self.asked.append((len(items), seed))
        return [self._said(document, i, seed) for document, i in items]

    def _said(self, document, i, seed):
        if i == 1:
            return Mined(document.id, i, "It says nothing." if self.analysis else "", "informative")
        colour = document.sentences[0].split()[-1]
        said = "black." if self.wrong(document, seed) else colour
        analysis = f"The {document.title} is {said}" if self.analysis else ""
        return Mined(document.id, i, analysis, None, f"How is the {document.title}?", f"It is {said}")


def words():
    for analysis in (True, False):
        teacher = Knows(analysis)
        for document in DOCUMENTS:
            for i in range(2):
                yield (short_prompt if analysis else short_pair_prompt)(document, i)
                yield write_output(teacher.ask([(document, i)], seed=0)[0], analysis)


def small():
    """Return a decoder with random weights that reads 128 tokens."""
    tokenizer = build_tokenizer([*words(), "black"])
    network = build_decoder(tokenizer, seed=0, width=32, layers=2, heads=2, max_positions=128)
    return LocalModel.of(network, tokenizer, name="small")


class Says:
    """A text model that always says the same."""

    name, fingerprint, tokenizer = "says", "0", None

    def __init__(self, text, finish="stop", tokens=9):
        self.reply, self.usage, self.asked = Completion(text, finish, tokens), Usage(), []

    def complete(self, prompts, *, n=1, sampling, seed):
        self.asked.append((list(prompts), sampling, seed))
        return [[self.reply] for _ in prompts]


class Chat:
    """A server that answers as a teacher, and fails for good from request `ends` on."""

    def __init__(self, ends=10**9):
        self.asked, self.ends = [], ends
        chat = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                chat.asked.append(prompt := body["messages"][-1]["content"])
                fails = len(chat.asked) > chat.ends
                reply = {"choices": [{"finish_reason": "stop", "message": {"content": chat.say(prompt)}}]}
                raw = json.dumps({"error": {"message": "closed"}} if fails else reply).encode()
                self.send_response(400 if fails else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()

    def say(self, prompt):
        sentence = prompt.partition("Sentence: ")[2].partition("\n")[0]
        if "Question: <" in prompt:
            return "Question: What of that?" + "\nAnswer: \U0001f600 This." * ("Answer: <" in prompt)
        if "Answer: <" in prompt:
            return "Answer: This."
        if "nice" in sentence:
            return "Analysis: It says nothing.\nRefused: informative"
        return "Analysis: It ran." if "Élan" not in sentence else "I would rather not."
