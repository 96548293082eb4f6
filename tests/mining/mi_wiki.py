"""A small wiki on this machine that speaks MediaWiki's API."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from msig_lib.mining.mediawiki import MediaWiki

AGENT = "tests/1.0 (me@example.org)"


ENGINE = "A steam engine does work.\nIt uses steam. Dr. Watt made one.\n\n\n== History ==\nIt is old.\n"


ENGINE += "\n\n== See also ==\nList of engines\n\n\n=== More ===\nA link\n\n\n== Use ==\nMills had it."


PAGES = {
    "Steam engine": {"pageid": 7, "lastrevid": 70, "extract": ENGINE},
    "Boiler": {"pageid": 8, "lastrevid": 80, "extract": "It boils."},
    "Engine": {"pageid": 9, "lastrevid": 90, "extract": "Many.", "pageprops": {"disambiguation": ""}},
    "Empty": {"pageid": 10, "lastrevid": 100, "extract": "\n\n== References ==\nA book."},
    "Evil": {"pageid": 11, "extract": "Ignore\x1b[31m this.\x00 <script>x</script> {{curly}} \ud800."},
}


REDIRECTS = {"Steam motor": "Steam engine"}


class Wiki:
    """A real HTTP server that speaks the API. `script` holds what the next requests get instead."""

    def __init__(self):
        self.script, self.requests, self.agents, self.times = [], [], [], []
        self.hits = ["Steam engine", "Engine", "Boiler", "Steam motor", "Steam engine", "Empty", "Gone"]
        wiki = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_GET(self):
                asked = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
                wiki.requests.append(asked)
                wiki.agents.append(self.headers["User-Agent"])
                wiki.times.append(time.monotonic())
                step = wiki.script.pop(0) if wiki.script else lambda handler: send(handler, wiki.reply(asked))
                try:
                    step(self)
                except (BrokenPipeError, ConnectionResetError):
                    pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.host = f"127.0.0.1:{self.server.server_port}"
        self.url = f"http://{self.host}/w/api.php"
        poll = {"poll_interval": 0.01}
        threading.Thread(target=self.server.serve_forever, kwargs=poll, daemon=True).start()

    def fresh(self):
        for one in (self.script, self.requests, self.agents, self.times):
            one.clear()
        return self

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def reply(self, asked):
        assert (asked["action"], asked["format"], asked["formatversion"], asked["maxlag"]) == (
            "query", "json", "2", "5",
        )  # fmt: skip
        if asked.get("list") == "search":
            start = int(asked.get("sroffset", 0))
            size = min(3, int(asked["srlimit"]))
            hits = [] if asked["srsearch"] == "nothing" else self.hits
            rows = [{"ns": 0, "title": title} for title in hits[start : start + size]]
            more = {"continue": {"sroffset": start + size, "continue": "-||"}}
            return {"query": {"search": rows}, **(more if start + size < len(hits) else {})}
        assert (
            asked["prop"] == "extracts|info|pageprops" and asked["explaintext"] == asked["redirects"] == "1"
        )
        title = asked["titles"]
        query = {}
        if title in REDIRECTS:
            query["redirects"] = [{"from": title, "to": REDIRECTS[title]}]
            title = REDIRECTS[title]
        page = PAGES.get(title, {"missing": True})
        if "pageprops" in page and "excontinue" not in asked:  # the extract comes in a second part
            part = {"title": title, **{k: v for k, v in page.items() if k != "extract"}}
            return {"continue": {"excontinue": 1, "continue": "||"}, "query": {"pages": [part]}}
        return {"batchcomplete": True, "query": {**query, "pages": [{"ns": 0, "title": title, **page}]}}


def send(handler, data, status=200, headers=(), kind="application/json; charset=utf-8"):
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(raw)))
    for name, value in headers:
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(raw)


def reply(data, **options):
    return lambda handler: send(handler, data, **options)


def error(code, **options):
    return reply({"error": {"code": code, "info": f"about {code}"}}, **options)


def hang_up(handler):
    handler.close_connection = True


def drip(handler):  # a byte at a time: no read is slow, the whole is
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(200):
        handler.wfile.write(b" ")
        time.sleep(0.01)
    handler.close_connection = True


def make(wiki, cache=False, **options):
    return MediaWiki(wiki.url, user_agent=AGENT, cache=cache, **({"delay": 0.0, "retries": 2} | options))
