"""Mean style and clusters: of the clips' means, in order of size, and read back from a bundle."""

import numpy as np
import pytest

from magenta_rt_py.bundle import load_bundle, save_bundle
from magenta_rt_py.errors import BundleError
from magenta_rt_py.style.steering import read_steering
from magenta_rt_py.train.finetune.steering import clip_means, steering_of_clips, steering_of_shards


def clips_in(groups):
    random = np.random.default_rng(0)
    return np.concatenate(
        [np.eye(8)[group] * 10 + random.normal(0, 0.1, (count, 8)) for group, count in enumerate(groups)]
    ).astype(np.float32)


def test_clusters_are_found_and_the_largest_comes_first():
    found = steering_of_clips(clips_in([3, 9, 5, 1, 7]))
    assert found.clips_per_centroid.tolist() == [9, 7, 5, 3, 1]
    assert found.centroids.argmax(axis=1).tolist() == [1, 4, 2, 0, 3]
    np.testing.assert_allclose(found.mean_style, clips_in([3, 9, 5, 1, 7]).mean(axis=0), atol=1e-6)


def test_few_clips_give_few_clusters():
    assert len(steering_of_clips(clips_in([1, 1])).centroids) == 2
    one = steering_of_clips(np.ones((4, 8), np.float32))
    assert len(one.centroids) == 1 and one.clips_per_centroid.tolist() == [4]


def test_padding_windows_do_not_count(tmp_path):
    style = np.stack([np.full((4, 3), 1.0), np.full((4, 3), 2.0)])
    style[0, 2:] = 100.0
    np.savez(tmp_path / "shard.npz", codes=np.zeros((2, 400, 4), np.int16), lengths=np.array([300, 400]), style_audio=style)
    np.testing.assert_allclose(clip_means(tmp_path / "shard.npz"), [[1, 1, 1], [2, 2, 2]])
    assert steering_of_shards([tmp_path / "shard.npz"] * 2).clips_per_centroid.sum() == 4


def test_a_bundle_gives_them_back_as_prompts(tmp_path):
    steering = steering_of_clips(clips_in([3, 9, 5]))
    made = load_bundle(save_bundle(tmp_path / "b", parts={"steering": steering.to_part()}, record={}))
    found = read_steering(made)
    assert found is not None
    assert list(found.prompts()) == ["mean style", "style 1", "style 2", "style 3", "style 4", "style 5"]
    np.testing.assert_array_equal(found.centroids, steering.centroids)
    plain = load_bundle(save_bundle(tmp_path / "plain", parts={"lm": ({}, {"a": np.zeros(2)})}, record={}))
    assert read_steering(plain) is None
    config, tensors = steering.to_part()
    broken = save_bundle(tmp_path / "broken", parts={"steering": (config, {"mean_style": tensors["mean_style"]})}, record={})
    with pytest.raises(BundleError, match="steering"):
        read_steering(load_bundle(broken))
