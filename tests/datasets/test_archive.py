from __future__ import annotations

import gzip
import io
import lzma
import random
import stat
import tarfile
import zipfile

import pytest

from msig_lib.datasets import archive


def make_tar(path, *entries, mode="w:xz"):
    with tarfile.open(path, mode) as tar:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            else:
                info.type, info.linkname = content
                tar.addfile(info)
    return path


def make_zip(path, *entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as pack:
        for name, content in entries:
            pack.writestr(name, content)
    return path


@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_extracts_files_into_a_new_folder(tmp_path, make):
    packed = make(tmp_path / "x", ("a.txt", b"1"), ("in/b.txt", b"22"))
    out = archive.extract(packed, tmp_path / "out")
    assert {p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*") if p.is_file()} == {
        "a.txt": b"1",
        "in/b.txt": b"22",
    }
    with pytest.raises(FileExistsError, match="out"):
        archive.extract(packed, out)


ESCAPES = ["../evil", "/evil", "in/../../evil", "C:/evil", "in\\..\\evil"]


@pytest.mark.parametrize("name", ESCAPES)
@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_refuses_paths_out_of_the_folder(tmp_path, make, name):
    packed = make(tmp_path / "x", ("good", b"1"), (name, b"2"))
    if make is make_zip and "\\" in name:  # the zip module normalises on this side; write the raw bytes
        packed.write_bytes(packed.read_bytes().replace(b"in/../evil", b"in\\..\\evil"))
    with pytest.raises(archive.UnsafeArchive, match="out of the folder"):
        archive.extract(packed, tmp_path / "sub" / "out")
    assert not list(tmp_path.rglob("evil")) and not (tmp_path / "sub" / "out").exists()
    assert list((tmp_path / "sub").iterdir()) == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_refuses_links_and_devices_in_tars(tmp_path, kind):
    packed = make_tar(tmp_path / "x", ("good", b"1"), ("l", (kind, "/etc/passwd")))
    with pytest.raises(archive.UnsafeArchive, match="'l' is a link, device"):
        archive.extract(packed, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_link_cannot_redirect_a_later_member(tmp_path):
    packed = make_tar(tmp_path / "x", ("d", (tarfile.SYMTYPE, str(tmp_path))), ("d/evil", b"1"))
    with pytest.raises(archive.UnsafeArchive):
        archive.extract(packed, tmp_path / "out")
    assert not (tmp_path / "evil").exists()


def test_refuses_links_in_zips(tmp_path):
    info = zipfile.ZipInfo("l")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    packed = make_zip(tmp_path / "x", (info, "/etc/passwd"))
    with pytest.raises(archive.UnsafeArchive, match="link"):
        archive.extract(packed, tmp_path / "out")


@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_stops_at_a_bomb(tmp_path, make):
    packed = make(tmp_path / "x", ("a", bytes(600_000)), ("b", bytes(600_000)))
    assert packed.stat().st_size < 20_000
    with pytest.raises(archive.UnsafeArchive, match="more than 1,000,000 bytes"):
        archive.extract(packed, tmp_path / "out", max_bytes=1_000_000)
    with pytest.raises(archive.UnsafeArchive, match="1 members"):
        archive.extract(packed, tmp_path / "out", max_members=1)
    assert not (tmp_path / "out").exists()


def test_same_name_twice_is_refused(tmp_path):
    packed = make_tar(tmp_path / "x", ("a", b"1"), ("a", b"2"))
    with pytest.raises(FileExistsError):
        archive.extract(packed, tmp_path / "out")


@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_truncated_archive(tmp_path, make):
    packed = make(tmp_path / "x", ("a", random.Random(0).randbytes(100_000)), ("b", b"2" * 5000))
    packed.write_bytes(packed.read_bytes()[: packed.stat().st_size // 2])
    with pytest.raises(archive.UnsafeArchive, match="damaged"):
        archive.extract(packed, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_decompress(tmp_path, suffix, pack):
    packed = tmp_path / f"a.txt{suffix}"
    packed.write_bytes(pack(b"x" * 100_000))
    assert archive.decompress(packed, tmp_path / "a.txt").read_bytes() == b"x" * 100_000
    with pytest.raises(archive.UnsafeArchive, match="more than 99,999"):
        archive.decompress(packed, tmp_path / "b.txt", max_bytes=99_999)
    packed.write_bytes(packed.read_bytes()[:-12])
    with pytest.raises(archive.UnsafeArchive, match="damaged"):
        archive.decompress(packed, tmp_path / "b.txt")
    assert {p.name for p in tmp_path.iterdir()} == {packed.name, "a.txt"}
