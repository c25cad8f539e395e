import gzip
import hashlib
import http.server
import threading

import pytest

from capsmed.data import fetch
from capsmed.errors import DataError

CONTENT = bytes(range(256)) * 4000


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves /tiny.bin, with ranges unless the server was told otherwise, and keeps a record."""

    def do_GET(self):
        content, start = self.server.content, 0
        asked = self.headers.get("Range")
        self.server.asked.append((self.path, asked))
        if not self.path.endswith("tiny.bin"):
            return self.send_error(404)
        if asked and self.server.ranges:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : self.server.breaks_at])

    def log_message(self, *args):
        """Keep the test's output clean."""


@pytest.fixture
def server():
    """A local HTTP server; its address is ``server.url``."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.content, running.ranges, running.breaks_at, running.asked = CONTENT, True, None, []
        running.url = f"http://127.0.0.1:{running.server_address[1]}/sets"
        thread = threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def get(server, tmp_path, monkeypatch):
    """Fetch a set of one small file from the local server."""
    file = fetch.File("tiny.bin", hashlib.md5(CONTENT).hexdigest(), len(CONTENT))
    source = fetch.Source("Tiny", "CC0", "http://example.org", "http://127.0.0.1:9", (file,))
    monkeypatch.setitem(fetch.SOURCES, "tiny", source)
    said = []

    def call(url=server.url, **options):
        return fetch.get("tiny", tmp_path / "out", url, say=said.append, **options)

    call.said = said
    return call


def test_size_licence_and_checksum_are_shown_and_the_content_is_right(get, tmp_path):
    steps = []
    path = get(progress=lambda done, total: steps.append((done, total)))
    assert path == tmp_path / "out" / "tiny.bin" and path.read_bytes() == CONTENT
    text = "\n".join(get.said)
    assert all(part in text for part in ("CC0", "1.0 MB", hashlib.md5(CONTENT).hexdigest()))
    assert steps[-1] == (len(CONTENT), len(CONTENT))


def test_a_file_that_is_there_is_kept_without_asking_the_server(get, server):
    get()
    get()
    assert len(server.asked) == 1 and get.said[-1].endswith("kept")


def test_a_broken_download_goes_on_where_it_broke_off(get, server, tmp_path):
    server.breaks_at = 500_000
    with pytest.raises(DataError, match="cannot be fetched .*; run the command again to go on"):
        get()
    server.breaks_at = None
    assert get().read_bytes() == CONTENT
    assert server.asked[1] == ("/sets/tiny.bin", "bytes=500000-")


def test_a_server_without_ranges_starts_over(get, server, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "tiny.bin.part").write_bytes(b"old" * 100)
    server.ranges = False
    assert get().read_bytes() == CONTENT


def test_a_part_that_was_complete_is_checked_and_used(get, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "tiny.bin.part").write_bytes(CONTENT)
    assert get().read_bytes() == CONTENT


def test_wrong_content_is_removed_and_both_checksums_are_named(get, server, tmp_path):
    server.content = CONTENT[::-1]
    found = hashlib.md5(CONTENT[::-1]).hexdigest()
    with pytest.raises(DataError, match=f"md5 .*, got {found}; it was removed"):
        get()
    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_fetched_by_hand_is_taken(get, server, tmp_path):
    (tmp_path / "tiny.bin").write_bytes(CONTENT)
    assert get(by_hand=tmp_path / "tiny.bin").read_bytes() == CONTENT
    assert server.asked == []


def test_a_wrong_file_fetched_by_hand_is_refused_and_left_alone(get, tmp_path):
    (tmp_path / "tiny.bin").write_bytes(b"other")
    with pytest.raises(DataError, match="tiny.bin: expected content with md5"):
        get(by_hand=tmp_path)
    assert (tmp_path / "tiny.bin").exists()


def test_an_unreachable_server_names_the_way_by_hand(get, tmp_path):
    with pytest.raises(DataError, match=r"by hand from http://example.org, put it at .*tiny.bin"):
        get(url="http://127.0.0.1:9/sets")


def test_an_unknown_set_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(DataError, match="expected one of mnist, nodulemnist3d, got 'mnits'"):
        fetch.get("mnits", tmp_path)


def test_the_checksum_is_that_of_the_content_however_it_was_packed(tmp_path):
    (tmp_path / "a.gz").write_bytes(gzip.compress(CONTENT, 1))
    assert fetch.digest(tmp_path / "a.gz") == hashlib.md5(CONTENT).hexdigest()


def test_a_truncated_gz_is_named(tmp_path):
    (tmp_path / "a.gz").write_bytes(gzip.compress(CONTENT)[:-9])
    with pytest.raises(DataError, match=r"a.gz: cannot be unpacked \(truncated\?\)"):
        fetch.digest(tmp_path / "a.gz")


def test_the_official_checksums_are_those_of_the_real_mnist(real_data, tmp_path):
    said = []
    out = fetch.get(
        "mnist", tmp_path, "http://127.0.0.1:9", by_hand=real_data / "mnist", say=said.append
    )
    assert out == tmp_path and sum(line.endswith("kept") for line in said) == 4


def test_a_file_of_another_name_says_which_names_are_expected(get, tmp_path):
    (tmp_path / "tiny (1).bin").write_bytes(CONTENT)
    with pytest.raises(DataError, match=r"expected tiny\.bin, or their folder, got a file of anot"):
        get(by_hand=tmp_path / "tiny (1).bin")
    with pytest.raises(DataError, match=r"got no such file"):
        get(by_hand=tmp_path / "absent.bin")
