from __future__ import annotations

import gzip
import hashlib
import http.server
import json
import threading

import pytest

from msig_lib.datasets import files
from msig_lib.datasets.manifests import DataFile, Manifest

BLOB = b"one\ntwo\nthree\n" * 400


def sha(blob: bytes) -> str:
    return hashlib.sha256(blob).hexdigest()


def toy(*entries: DataFile) -> Manifest:
    return Manifest(
        name="toy",
        title="t",
        what="w",
        kind="files",
        files=entries,
        licence="l",
        citation="c",
        chapters=("ch02",),
        tiers=("quick",),
        obtain="Ask its authors.",
    )


def pinned(blob: bytes = BLOB, **more) -> DataFile:
    return DataFile(
        **({"path": "toy/a.txt", "format": "text", "sha256": sha(blob), "bytes": len(blob)} | more)
    )


@pytest.fixture
def mirror(cache, tmp_path, monkeypatch):
    folder = tmp_path / "mirror"
    (folder / "toy").mkdir(parents=True)
    monkeypatch.setenv("MSIG_DATA_MIRROR", str(folder))
    return folder


@pytest.fixture
def web():
    """A web server that offers /a, /cut (ends early) and nothing else; yields its address and what was
    asked."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            if self.path not in ("/a", "/cut"):
                return self.send_error(404)
            self.send_response(200)
            self.send_header("Content-Length", str(len(BLOB)))
            self.end_headers()
            self.wfile.write(BLOB if self.path == "/a" else BLOB[:100])

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def test_mirror_file_is_verified_and_used_in_place(mirror):
    (mirror / "toy/a.txt").write_bytes(BLOB)
    entry = toy(pinned())
    assert files.obtain(entry, entry.files[0]) == mirror / "toy/a.txt"
    assert [s.state for s in files.states(entry)] == ["verified"]


@pytest.mark.parametrize("bad", [BLOB[:-1], BLOB[:-1] + b"x", b""], ids=["truncated", "changed", "empty"])
def test_bad_mirror_file_is_refused_and_left_alone(mirror, bad):
    path = mirror / "toy/a.txt"
    path.write_bytes(bad)
    entry = toy(pinned())
    with pytest.raises(files.DataMismatch) as error:
        files.obtain(entry, entry.files[0])
    text = str(error.value)
    assert str(path) in text and sha(BLOB) in text and sha(bad) in text and "MSIG_DATA_MIRROR" in text
    assert path.read_bytes() == bad and list(path.parent.iterdir()) == [path]
    assert [s.state for s in files.states(entry)] == ["wrong"]


def test_bad_cached_file_is_set_aside(cache):
    entry = toy(pinned())
    path = files.cache_path(entry, entry.files[0])
    path.parent.mkdir(parents=True)
    path.write_bytes(b"bad")
    with pytest.raises(files.DataMismatch, match="msig data fetch toy"):
        files.obtain(entry, entry.files[0])
    assert [p.name for p in path.parent.iterdir()] == [f"a.txt.bad-{sha(b'bad')[:8]}"]
    with pytest.raises(files.DataNotAvailable):  # and it is not used the next time
        files.obtain(entry, entry.files[0])


def test_missing_everywhere_says_where_it_looked_and_what_to_do(mirror):
    entry = toy(pinned())
    with pytest.raises(files.DataNotAvailable) as error:
        files.obtain(entry, entry.files[0])
    assert all(
        part in str(error.value)
        for part in ("toy/a.txt", str(mirror), "MSIG_DATA_MIRROR", "Ask its authors.")
    )


def test_mirror_that_is_no_folder(cache, monkeypatch):
    monkeypatch.setenv("MSIG_DATA_MIRROR", "/nowhere/at/all")
    with pytest.raises(files.DataNotAvailable, match="no such folder"):
        files.mirror()


def test_downloads_once_and_verifies_every_time(cache, web):
    address, asked = web
    entry = toy(pinned(urls=(f"{address}/none", f"{address}/a")))
    path = files.obtain(entry, entry.files[0])
    assert path.read_bytes() == BLOB and path.is_relative_to(cache)
    assert files.obtain(entry, entry.files[0]) == path
    assert asked == ["/none", "/a"]
    path.write_bytes(b"changed later")
    with pytest.raises(files.DataMismatch):
        files.obtain(entry, entry.files[0])
    assert files.obtain(entry, entry.files[0]).read_bytes() == BLOB  # the remedy works


@pytest.mark.parametrize(("where", "error"), [("/none", files.DataNotAvailable), ("/cut", files.DataError)])
def test_failed_download_names_the_address_and_leaves_nothing(cache, web, where, error):
    entry = toy(pinned(urls=(web[0] + where,)))
    with pytest.raises(error) as raised:
        files.obtain(entry, entry.files[0])
    assert web[0] + where in str(raised.value) and "MSIG_DATA_MIRROR" in str(raised.value)
    assert not files.cache_path(entry, entry.files[0]).exists()


def test_wrong_download_is_refused(cache, web):
    entry = toy(pinned(b"something else", urls=(f"{web[0]}/a",)))
    with pytest.raises(files.DataMismatch) as raised:
        files.obtain(entry, entry.files[0])
    assert sha(b"something else") in str(raised.value) and sha(BLOB) in str(raised.value)
    assert not files.cache_path(entry, entry.files[0]).exists()


def test_plain_download_stands_for_the_compressed_file(cache, web):
    packed = gzip.compress(BLOB)
    entry = toy(pinned(packed, path="toy/a.txt.gz", content_sha256=sha(BLOB), urls=(f"{web[0]}/a",)))
    for _ in range(2):
        path = files.obtain(entry, entry.files[0])
        assert path.name == "a.txt"
        with files.open_content(path) as stream:
            assert stream.read() == BLOB
    path.write_bytes(b"x")
    with pytest.raises(files.DataMismatch, match=sha(BLOB)):
        files.obtain(entry, entry.files[0])


def test_first_use_is_told_recorded_and_enforced(mirror, cache, capsys):
    entry = toy(DataFile(path="toy/a.txt", format="text", sha256=None, trust="first-use"))
    path = mirror / "toy/a.txt"
    path.write_bytes(BLOB)
    files.obtain(entry, entry.files[0])
    assert sha(BLOB) in capsys.readouterr().err
    assert json.loads((cache / "data/first-use.json").read_text()) == {"toy/toy/a.txt": sha(BLOB)}
    files.obtain(entry, entry.files[0])
    assert capsys.readouterr().err == ""
    path.write_bytes(BLOB + b"!")
    with pytest.raises(files.DataMismatch, match=r"first-use\.json"):
        files.obtain(entry, entry.files[0])


def test_folder_hash_sees_names_contents_and_links(mirror):
    folder = mirror / "toy" / "many"
    (folder / "in").mkdir(parents=True)
    (folder / "in/b").write_bytes(b"b")
    (folder / "a").write_bytes(b"a")
    lines = f"{sha(b'a')}  a\n{sha(b'b')}  in/b\n"
    entry = toy(DataFile(path="toy/many", format="folder", sha256=sha(lines.encode())))
    assert files.obtain(entry, entry.files[0]) == folder
    (folder / "a").rename(folder / "c")
    with pytest.raises(files.DataMismatch):
        files.obtain(entry, entry.files[0])
    (folder / "c").rename(folder / "a")
    (folder / "link").symlink_to(folder / "a")
    with pytest.raises(files.DataMismatch, match="link"):
        files.obtain(entry, entry.files[0])


def test_a_file_can_stand_in_for_others(mirror):
    (mirror / "toy/all.zip").write_bytes(b"z")
    entry = toy(
        pinned(),
        pinned(path="toy/b.txt"),
        pinned(b"z", path="toy/all.zip", replaces=("toy/a.txt", "toy/b.txt")),
    )
    assert files.obtain_all(entry) == {"toy/all.zip": mirror / "toy/all.zip"}
    (mirror / "toy/a.txt").write_bytes(BLOB)
    assert set(files.obtain_all(entry)) == {"toy/a.txt", "toy/all.zip"}
