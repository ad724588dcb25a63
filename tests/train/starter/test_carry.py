"""What is to be carried is counted with the checkout, and too much is refused."""

import pytest

from magenta_rt_py.train.starter import carry


@pytest.fixture
def light(monkeypatch, tmp_path):
    """Packing without a sound font and without a network: a font of 2000 bytes, a wheel of 1000, a checkout of 5000."""

    def fetch(out):
        (out / "wheels").mkdir(exist_ok=True)
        (out / "wheels" / "a.whl").write_bytes(b"x" * 1000)
        return out / "wheels"

    monkeypatch.setattr(carry, "soundfont_path", lambda: tmp_path)
    monkeypatch.setattr(carry, "subset", lambda source, target, presets: target.write_bytes(b"x" * 2000))
    monkeypatch.setattr(carry, "_fetch_packages", fetch)
    monkeypatch.setattr(carry, "checkout_bytes", lambda luggage: 5000)


def test_the_total_counts_checkout_and_luggage(light, monkeypatch, tmp_path):
    monkeypatch.setattr(carry, "LIMIT_BYTES", 8000)
    assert f"in all {8000 / 2**20:.1f} of" in carry.pack(tmp_path / "out")
    monkeypatch.setattr(carry, "LIMIT_BYTES", 7999)
    with pytest.raises(carry.TooMuchToCarryError, match="remove files from the checkout"):
        carry.pack(tmp_path / "out")


def test_the_checkout_is_what_git_has_without_the_luggage(root, tmp_path):
    whole = carry.checkout_bytes(tmp_path)
    assert 1e6 < whole < carry.LIMIT_BYTES
    assert carry.checkout_bytes(root / "magenta_rt_py" / "starter") < whole - 10e6
