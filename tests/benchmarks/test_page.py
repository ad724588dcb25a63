"""The benchmark of the page, for some seconds with the stand-in model: it moves, blocks, cuts and counts."""

import importlib
import shutil
from concurrent.futures import ThreadPoolExecutor

import jaxtyping
import pytest

from magenta_rt_py.serve.stand_in import StandInFactory
from magenta_rt_py.ui.launch_config import LaunchConfig
from magenta_rt_py.ui.live_server import LiveServer


@pytest.fixture
def page(root, monkeypatch):
    """benchmarks/page.py as a module, in a hurry."""
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    module = importlib.import_module("page")
    monkeypatch.setattr(module, "SETTLED_SECONDS", 1.0)
    monkeypatch.setattr(module, "BLOCKED_SECONDS", 1.0)
    monkeypatch.setattr(module, "PAUSE_SECONDS", (0.3, 0.6))
    return module


@pytest.fixture
def server(tmp_path, monkeypatch):
    """The page with the stand-in model."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)  # the sound has to be in time
    config = LaunchConfig(port=0, opens_browser=False)
    with LiveServer(config, make_factory=lambda bundle, say: StandInFactory(kind="tone", cost_seconds=0.002)) as made:
        made.start()
        yield made
    jaxtyping.config.update("jaxtyping_disable", before)


def test_it_plays_disturbs_and_reports(page, server):
    forwarder = page.Forwarder(server.port)
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    address = f"http://127.0.0.1:{forwarder.port}/"
    with ThreadPoolExecutor(1) as pool:  # a thread of its own: other tests' browsers may live on this one
        seen = pool.submit(page.play, address, chromium, forwarder, seconds=10.0, seed=1, lead=1.5).result()
    forwarder.close()
    found = page.report(seen)
    assert found["missing_sliders"] == [] and found["moves"] >= 3 and found["foreign_requests"] == []
    assert [each["what"] for each in found["disturbances"]] == ["blocked", "cut", "cut", "cut"]
    assert all(each["sockets"] == 1 for each in found["disturbances"][1:])
    assert found["reconnections"] >= 3 and found["ended"] == []
    delays = found["knob_to_ear_seconds"]
    assert delays["count"] >= 2 and 0.0 < delays["median"] < 20.0
    assert found["microphone"]["on"] and found["page"]["lostSamples"] == 0
    assert found["server_status"]["lead_seconds"] == 1.5


def test_underruns_belong_to_the_disturbance_before_them(page):
    seen = {
        "underruns": [0.5, 12.0, 31.0],
        "heard": [(5.0, 0.5), (6.0, 0.7), (0.2, 9.0)],
        "disturbed": [{"what": "cut", "at_seconds": 30.0, "sockets": 1}],
        "statuses": [], "links": [], "troubles": [], "ended": [], "stats": {}, "seconds": 40.0, "moved": 2,
        "missing_sliders": [], "page_errors": [], "foreign_requests": [],
    }  # fmt: skip
    found = page.report(seen)
    assert (found["underruns"], found["underruns_after_10_s"], found["underruns_of_disturbances"]) == (3, 2, 1)
    assert found["knob_to_ear_seconds"]["median"] == pytest.approx(0.6)
