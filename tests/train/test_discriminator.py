"""A few steps tell a toy decoder's sound from real sound, and gradients reach the decoder."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from magenta_rt_py.train.discriminator import DiscriminatorConfig, MultiResolutionDiscriminator
from magenta_rt_py.train.losses import discriminator_loss, feature_matching_loss, generator_loss

CONFIG = DiscriminatorConfig(windows=(128, 256), channels=4, dilations=(1, 2))
MODEL = MultiResolutionDiscriminator(CONFIG)


def clips(seed, *, real):
    """Real: clicks in time. Fake: noise of the same power."""
    random = np.random.default_rng(seed)
    noise = random.standard_normal((4, 1_024, 2)).astype(np.float32)
    if not real:
        return jnp.asarray(0.1 * noise)
    clicks = np.zeros_like(noise)
    clicks[:, random.integers(0, 128) :: 128] = 0.1 * 128**0.5
    return jnp.asarray(clicks)


@pytest.fixture(scope="module")
def trained():
    params = jax.jit(MODEL.init)(jax.random.PRNGKey(0), clips(0, real=True))
    optimizer = optax.adam(1e-2)

    def loss(params, real, fake):
        return discriminator_loss(MODEL.apply(params, real).scores, MODEL.apply(params, fake).scores)

    @jax.jit
    def step(params, state, real, fake):
        value, gradients = jax.value_and_grad(loss)(params, real, fake)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(params, updates), state, value

    state, values = optimizer.init(params), []
    for seed in range(40):
        params, state, value = step(params, state, clips(seed, real=True), clips(seed, real=False))
        values.append(float(value))
    return params, values


def test_a_few_steps_separate_real_from_fake(trained):
    params, values = trained
    assert values[0] == pytest.approx(2.0, abs=0.5) and values[-1] < 0.5 * values[0]
    real, fake = (MODEL.apply(params, clips(99, real=real)).scores for real in (True, False))
    assert all(ours.mean() > theirs.mean() + 0.5 for ours, theirs in zip(real, fake, strict=True))


def test_scores_and_features_of_every_window(trained):
    output = MODEL.apply(trained[0], clips(1, real=True))
    assert len(output.scores) == len(output.features) == 2
    assert output.scores[0].shape[:2] == (4, 1 + 1_024 // 32)
    assert all(len(layers) == 4 for layers in output.features)


def test_gradients_reach_the_decoder(trained):
    params, _ = trained
    real = MODEL.apply(params, clips(1, real=True))

    def decoder_loss(gain):
        fake = MODEL.apply(params, gain * clips(2, real=False))
        return generator_loss(fake.scores) + feature_matching_loss(real.features, fake.features)

    gradient = jax.jit(jax.grad(decoder_loss))(jnp.ones((1, 1_024, 2)))
    assert jnp.isfinite(gradient).all() and float(jnp.abs(gradient).max()) > 0


def test_silence_has_finite_gradients():
    silence = jnp.zeros((1, 1_024, 2))
    params = jax.jit(MODEL.init)(jax.random.PRNGKey(0), silence)
    gradient = jax.jit(jax.grad(lambda samples: generator_loss(MODEL.apply(params, samples).scores)))(silence)
    assert jnp.isfinite(gradient).all()
