"""Fetching from a hub on this machine: whole, interrupted, damaged, offline, refused."""

import dataclasses
import os
import random
import shutil
import types
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from magenta_rt_py.bundle import load_bundle
from magenta_rt_py.released import fetch as fetching
from magenta_rt_py.released.assets import Asset, Resource, find_asset
from magenta_rt_py.released.download import PIECE_BYTES
from magenta_rt_py.released.hub_error import FetchError
from tests.released.checkpoints import pack, write_by_hand
from tests.released.file_server import COMMIT, Hub, serve, sha256

REPOSITORY = "nobody/toy-model"
LARGE = "checkpoints/toy.tar"
TOY = Asset(
    name="toy",
    title="a toy",
    repository=REPOSITORY,
    resources=(
        Resource(part="lm", pattern=LARGE, about_bytes=400_000),
        Resource(part="codec", pattern="savedmodels/toy/", about_bytes=10),
    ),
)
CONTENT = random.Random(0).randbytes(400_000)
DROPPED = 150_000
"""Bytes that come before the connection breaks."""
KEPT = DROPPED // PIECE_BYTES * PIECE_BYTES
"""Of which these are on the disk."""


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)  # whatever it is where the tests run
    files = {
        "README.md": b"not wanted",
        LARGE: CONTENT,
        "savedmodels/toy/encoder/saved_model.pb": b"small",
        "savedmodels/toy/empty": b"",
    }
    with serve(Hub(REPOSITORY, files)) as served:
        yield served


@pytest.fixture
def said():
    return []


@pytest.fixture
def fetch(hub, said, tmp_path):
    """Fetches the toy into a cache of this test's own."""

    def run(**options):
        options = {"cache": tmp_path / "cache", "endpoint": hub.address, "say": said.append, **options}
        return fetching.fetch(TOY, **options)

    return run


@pytest.fixture
def lm_tar(lm_tensors, tmp_path):
    """The archive of a narrow language model."""
    folder = write_by_hand(tmp_path / "checkpoint_1860000", lm_tensors)
    return pack(folder, tmp_path / "toy.tar", inside="toy/").read_bytes()


def test_what_was_fetched_becomes_a_bundle(fetch, hub, lm_tar, lm_tensors, tmp_path):
    hub.files[LARGE] = lm_tar
    fetched = fetch()
    only_lm = dataclasses.replace(fetched, asset=dataclasses.replace(TOY, resources=TOY.resources[:1]))
    fetching.to_bundle(only_lm, tmp_path / "bundle")
    bundle = load_bundle(tmp_path / "bundle")
    assert sorted(bundle.configs) == ["lm"]
    assert bundle.record["fetched"]["lm"] == {"asset": "toy", "repository": REPOSITORY, "commit": COMMIT}
    for name, tensor in bundle.tensors("lm").items():
        np.testing.assert_array_equal(tensor, lm_tensors[name])


def test_the_second_releases_style_model_is_known_by_its_folder(tmp_path, monkeypatch):
    asset = find_asset("magenta-rt-2-style")
    for resource in asset.resources:
        (tmp_path / resource.pattern).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / resource.pattern).write_bytes(b"")
    fetched = fetching.Fetched(asset=asset, root=tmp_path, commit=COMMIT, num_bytes=0, received_bytes=0)
    assert len(fetched.locations("style")) == len(asset.resources)
    seen = {}

    def convert(out, sources, **options):
        seen.update(options, out=out, sources=sources)
        return types.SimpleNamespace(bundle=types.SimpleNamespace(record={}), added=("style",), notes=("a note",))

    monkeypatch.setattr("magenta_rt_py.released.convert.convert", convert)
    monkeypatch.setattr("magenta_rt_py.bundle.update_record", lambda out, **entries: seen.update(entries))
    assert fetching.to_bundle(fetched, tmp_path / "out") == ("a note",)
    assert seen["style"] == [tmp_path / "resources/musiccoca"]
    assert (seen["sources"], seen["codec"], seen["name"]) == ([], [], "magenta-rt-2-style")
    assert seen["fetched"]["style"]["commit"] == COMMIT


def test_a_whole_asset(fetch, hub):
    fetched = fetch()
    assert fetched.commit == COMMIT
    assert (fetched.root / LARGE).read_bytes() == CONTENT
    assert (fetched.root / "savedmodels/toy/encoder/saved_model.pb").read_bytes() == b"small"
    assert (fetched.root / "savedmodels/toy/empty").read_bytes() == b""
    assert not (fetched.root / "README.md").exists()
    assert fetched.received_bytes == fetched.num_bytes == len(CONTENT) + 5 == hub.sent()
    assert fetched.locations("lm") == [fetched.root / LARGE]
    assert fetched.locations("codec") == [fetched.root / "savedmodels/toy"]
    assert fetched.locations("style") == []


def test_the_cache_is_the_one_that_the_hubs_own_library_knows(fetch, hub, tmp_path):
    import huggingface_hub

    fetch()
    found = huggingface_hub.hf_hub_download(
        REPOSITORY, LARGE, revision=COMMIT, cache_dir=tmp_path / "cache", local_files_only=True
    )
    assert Path(found).read_bytes() == CONTENT
    assert Path(found).resolve().name == sha256(CONTENT)


def test_a_second_fetch_asks_for_no_content_and_reads_no_file(fetch, hub, monkeypatch):
    fetch()
    before = hub.sent()
    monkeypatch.setattr("magenta_rt_py.released.checksum.Checksum.of", lambda self, path: pytest.fail(f"read {path}"))
    again = fetch()
    assert again.received_bytes == 0
    assert hub.sent() == before


def test_a_dropped_connection_is_gone_on_with_at_once(fetch, hub):
    hub.faults[LARGE] = [("drop", DROPPED)]
    assert (fetch().root / LARGE).read_bytes() == CONTENT
    assert [request.range_start for request in hub.content_requests(LARGE) if request.sent] == [0, KEPT]
    assert hub.sent(LARGE) == DROPPED + len(CONTENT) - KEPT


def test_an_interrupted_fetch_goes_on_the_next_time(fetch, hub, said):
    hub.faults[LARGE] = [("drop", DROPPED), ("status", 503)]
    with pytest.raises(FetchError, match="answers 503"):
        fetch()
    assert hub.sent(LARGE) == DROPPED
    fetched = fetch()
    assert (fetched.root / LARGE).read_bytes() == CONTENT
    assert hub.content_requests(LARGE)[-1].range_start == KEPT
    assert hub.sent(LARGE) == DROPPED + len(CONTENT) - KEPT, "what had come was sent again"
    assert fetched.received_bytes == len(CONTENT) - KEPT + len(b"small")
    assert any("going on from 0.1 of 0.4 MB" in line for line in said), said


def test_a_killed_fetch_goes_on_the_next_time(fetch, hub, monkeypatch):
    """Ctrl-C while content comes."""
    hub.faults[LARGE] = [("drop", DROPPED)]

    def interrupt(seconds):  # the library waits before it tries again
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("time.sleep", interrupt)
        with pytest.raises(KeyboardInterrupt):
            fetch()
    assert (fetch().root / LARGE).read_bytes() == CONTENT
    assert hub.sent(LARGE) == DROPPED + len(CONTENT) - KEPT


def test_a_server_that_ignores_ranges_costs_bytes_not_content(fetch, hub):
    hub.faults[LARGE] = [("drop", DROPPED), ("status", 503), ("whole", 0)]
    with pytest.raises(FetchError):
        fetch()
    assert (fetch().root / LARGE).read_bytes() == CONTENT


def test_a_new_version_does_not_go_on_from_the_old_ones_rest(fetch, hub, said, tmp_path):
    hub.faults[LARGE] = [("drop", DROPPED), ("status", 503)]
    with pytest.raises(FetchError):
        fetch(folder=tmp_path / "mine")
    hub.files[LARGE] = CONTENT[::-1]
    hub.commit = "f" * 40
    assert (fetch(folder=tmp_path / "mine").root / LARGE).read_bytes() == CONTENT[::-1]
    assert hub.content_requests(LARGE)[-1].range_start == 0
    assert not [line for line in said if "damaged" in line]


def test_damaged_content_is_noticed_and_fetched_again(fetch, hub, said):
    hub.faults[LARGE] = [("garble", 0)]
    assert (fetch().root / LARGE).read_bytes() == CONTENT
    assert any("damaged" in line for line in said)


def test_content_that_stays_damaged_is_refused(fetch, hub, tmp_path):
    hub.faults[LARGE] = [("garble", 0)] * 2
    with pytest.raises(FetchError, match="came damaged 2 times"):
        fetch()
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size > 100_000]


def test_a_damaged_small_file_is_noticed_too(fetch, hub):
    hub.faults["savedmodels/toy/encoder/saved_model.pb"] = [("garble", 0)] * 2
    with pytest.raises(FetchError, match="git-sha1"):
        fetch()


@pytest.mark.parametrize("cut", [False, True])
def test_a_cached_file_that_was_changed_comes_again(fetch, hub, said, cut):
    content = (fetch().root / LARGE).resolve()
    content.write_bytes(CONTENT[:1000] if cut else bytes(len(CONTENT)))
    before = hub.sent(LARGE)
    fetched = fetch()
    assert (fetched.root / LARGE).read_bytes() == CONTENT
    assert hub.sent(LARGE) - before == len(CONTENT)
    assert any(f"{LARGE}: damaged" in line for line in said)


def test_a_folder_of_ones_own(fetch, hub, tmp_path):
    hub.faults[LARGE] = [("drop", DROPPED), ("status", 503)]
    folder = tmp_path / "mine"
    with pytest.raises(FetchError):
        fetch(folder=folder)
    fetched = fetch(folder=folder)
    assert fetched.root == folder
    assert (folder / LARGE).read_bytes() == CONTENT
    assert hub.sent(LARGE) == DROPPED + len(CONTENT) - KEPT
    assert not (folder / LARGE).is_symlink()
    assert not (tmp_path / "cache").exists()
    assert fetch(folder=folder).received_bytes == 0
    assert fetch(folder=folder, offline=True, endpoint="http://127.0.0.1:9").root == folder
    assert not list(folder.rglob("*.partial"))


def test_offline(fetch, hub):
    with pytest.raises(FetchError, match="never fetched"):
        fetch(offline=True)
    assert not hub.requests
    fetch()
    hub.requests.clear()
    fetched = fetch(offline=True)
    assert (fetched.root / LARGE).read_bytes() == CONTENT
    assert not hub.requests
    (fetched.root / LARGE).resolve().unlink()
    with pytest.raises(FetchError, match=r"1 of 3 files of toy are not whole.*without --offline"):
        fetch(offline=True)


def test_offline_by_the_librarys_own_switch(fetch, hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(FetchError, match="never fetched"):
        fetch()
    assert not hub.requests


def test_without_a_network_what_is_here_counts(fetch, said):
    nowhere = "http://127.0.0.1:9"
    with pytest.raises(FetchError, match="cannot be reached"):
        fetch(endpoint=nowhere)
    fetched = fetch()
    assert fetch(endpoint=nowhere).root == fetched.root
    assert any("cannot be reached; taking what is in" in line for line in said)
    (fetched.root / LARGE).resolve().unlink()
    with pytest.raises(FetchError, match="not whole"):
        fetch(endpoint=nowhere)


@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        ((401, ""), "no such repository, or no access"),
        ((401, "RepoNotFound"), "no such repository, or no access"),
        ((403, "GatedRepo"), "granted on request"),
        ((404, "RepoNotFound"), "no such repository, or no access"),
        ((500, ""), "answers 500"),
    ],
)
def test_refusals(fetch, hub, refusal, message):
    hub.refuse = refusal
    with pytest.raises(FetchError, match=message) as caught:
        fetch()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_an_unknown_revision(fetch):
    with pytest.raises(FetchError, match=r"no revision 'dev'.*--revision"):
        fetch(revision="dev")


def test_a_pinned_revision(fetch):
    assert fetch(revision=COMMIT).commit == COMMIT


def test_a_file_that_the_repository_lacks(fetch, hub):
    del hub.files[LARGE]
    with pytest.raises(FetchError, match=rf"nothing under '{LARGE}', which toy needs"):
        fetch()


def test_a_name_that_leads_out_of_the_folder(fetch, hub, tmp_path):
    hub.files["savedmodels/toy/../../../../escaped"] = b"x"
    with pytest.raises(ValueError, match="leads elsewhere"):
        fetch(folder=tmp_path / "mine")


def test_a_disk_without_room(fetch, hub, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage(10**9, 10**9, 0))
    with pytest.raises(FetchError, match=r"needs 0 MB more .* has 0 MB left; make room.*--dir"):
        fetch()
    assert not hub.sent()


def test_a_disk_that_fills_up(fetch, hub, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("huggingface_hub.file_download.http_get", full)
    with pytest.raises(FetchError, match="disk is full"):
        fetch()


def test_a_folder_that_cannot_be_written(fetch, tmp_path):
    (tmp_path / "mine").write_text("a file where a folder should be")
    with pytest.raises(FetchError, match="cannot be written"):
        fetch(folder=tmp_path / "mine")


def test_the_token_does_not_go_to_the_content_store(fetch, hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    fetch()
    elsewhere = [request for request in hub.requests if request.path.startswith("/store/")]
    assert elsewhere and not any(request.authorization for request in elsewhere)
    assert any(request.authorization for request in hub.requests)


def test_two_at_once(fetch, hub, tmp_path):
    """The second waits for the first's file and takes it."""
    import threading

    results = []
    threads = [threading.Thread(target=lambda: results.append(fetch())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 2
    assert hub.sent(LARGE) == len(CONTENT)
