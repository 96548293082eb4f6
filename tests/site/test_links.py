"""Links to other hosts are found, and asked politely."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from msig_lib.site import links


@pytest.fixture
def host():
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self):
            status = {"/there": 200, "/moved": 301, "/shy": 403}.get(self.path, 404)
            self.send_response(status)
            if status == 301:
                self.send_header("Location", "/there")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_external_links_are_found_once_with_their_pages(tmp_path):
    (tmp_path / "a.html").write_text('<a href="https://example.org/x#one">x</a><a href="b.html">b</a>')
    (tmp_path / "b.html").write_text('<a href="https://example.org/x#two">x</a><a href="mailto:a@b.c">m</a>')
    assert links.external(tmp_path) == {"https://example.org/x": ["a.html", "b.html"]}


def test_answers_tell_lost_from_refused(host):
    asked = {f"{host}/{name}": ["a.html"] for name in ("there", "moved", "shy", "gone")}
    states = [answer.state for answer in links.check_all(asked, timeout_s=10)]
    assert states == ["ok", "ok", "refused", "lost"]
    (nobody,) = links.check_all({"http://127.0.0.1:9/": ["a.html"]}, timeout_s=10)
    assert nobody.state == "lost" and "ConnectError" in nobody.told
