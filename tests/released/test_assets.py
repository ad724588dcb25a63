"""The table of what can be fetched."""

import pytest

from magenta_rt_py.released.assets import ASSETS, TESTDATA, Resource, find_asset

BASE_FILES = [
    "README.md",
    "checkpoints/llm_base_x4286_c1860k.tar",
    "checkpoints/llm_base_x4286_c1860k/checkpoint",
    "checkpoints/llm_large_x3047_c1860k.tar",
    "savedmodels/ssv2_48k_stereo/encoder/saved_model.pb",
    "savedmodels/ssv2_48k_stereo/encoder/variables/variables.index",
    "savedmodels/ssv2_48k_stereo/decoder/saved_model.pb",
    "savedmodels/ssv2_48k_stereo/quantizer/saved_model.pb",
    "savedmodels/musiccoca_mv212f_cpu_novocab/saved_model.pb",
    "savedmodels/musiccoca_mv212_quant/saved_model.pb",
    "savedmodels/musiccoca_mv212_cpu_compat/saved_model.pb",
    "testdata/musiccoca_mv212/inputs.txt",
    "testdata/ssv2_48k_stereo/audio.npy",
    "vocabularies/musiccoca_mv212f_vocab.model",
]


def test_a_model_takes_its_own_files_only():
    base = find_asset("magenta-rt-base")
    taken = base.belonging(BASE_FILES)
    assert "checkpoints/llm_base_x4286_c1860k.tar" in taken
    assert "savedmodels/ssv2_48k_stereo/encoder/variables/variables.index" in taken
    assert not {"README.md", "checkpoints/llm_large_x3047_c1860k.tar"} & set(taken)
    assert not [path for path in taken if "compat" in path]
    assert not [path for path in taken if path.startswith("checkpoints/llm_base_x4286_c1860k/")]
    assert base.missing(BASE_FILES) == []
    assert base.missing(path for path in BASE_FILES if "decoder" not in path) == ["savedmodels/ssv2_48k_stereo/decoder/"]
    assert base.parts == ("lm", "codec", "style")


def test_optional_files_may_be_missing():
    codec = find_asset("magenta-rt-2-codec")
    files = ["resources/spectrostream/encoder.safetensors", "resources/spectrostream/decoder.safetensors"]
    assert codec.missing(files) == []
    assert codec.missing(files[:1]) == files[1:]
    assert codec.belonging([*files, "resources/spectrostream/quantizer.safetensors"])[-1].endswith("quantizer.safetensors")


def test_sizes_are_those_of_the_models():
    assert 1.25e9 < find_asset("magenta-rt-base").resources[0].about_bytes < 347_873_472 * 4
    assert 2.7e9 < find_asset("magenta-rt-large").resources[0].about_bytes < 761_651_456 * 4
    assert TESTDATA.about_bytes < 10e6
    for asset in ASSETS:
        assert asset.about_bytes > 0
        assert asset.licence == "CC-BY-4.0" and asset.terms
        assert asset.page == f"https://huggingface.co/{asset.repository}"


def test_names_are_unique_and_unknown_ones_list_them():
    names = [asset.name for asset in ASSETS]
    assert len(set(names)) == len(names)
    assert [find_asset(name) for name in names] == list(ASSETS)
    with pytest.raises(ValueError, match="magenta-rt-base, magenta-rt-large"):
        find_asset("magenta-rt-huge")


def test_patterns():
    folder = Resource(part="codec", pattern="a/b/", about_bytes=1)
    assert folder.matches("a/b/c") and folder.matches("a/b/c/d") and not folder.matches("a/bc")
    assert folder.location == "a/b"
    names = Resource(part="codec", pattern="a/*.txt", about_bytes=1)
    assert names.matches("a/b.txt") and not names.matches("a/b/c.txt") and not names.matches("a/b.bin")
    assert names.location == "a"
    assert Resource(part="lm", pattern="a/b.tar", about_bytes=1).location == "a/b.tar"
