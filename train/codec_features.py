"""What codec training reads: pieces as stored log band magnitudes, batches of them, and the start fitted to them."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float16, Float32

from magenta_rt_py.codec import bands, network
from magenta_rt_py.codec.config import CompactCodecConfig
from magenta_rt_py.nn import quantizer
from magenta_rt_py.train.mel import mel_filters

PieceFeatures = Float16[np.ndarray, "_ stft_frames channels bands"]  # bands.stored_features of one piece

_STATISTICS_FRAMES = 24_000  # frames measured for mean, deviation and principal components
_KMEANS_FRAMES = 20_000  # frames clustered for the starting codebooks
_CODEBOOKS = "quantizer/codebooks"


def sample_batch(
    features: Sequence[PieceFeatures], random: np.random.Generator, *, batch: int, frames: int
) -> Float16[np.ndarray, "batch frames stft_frames channels bands"]:
    """Random crops, each frame of the collection as likely as any other.

    Raises:
      ValueError: if no piece has `frames` frames.
    """
    return _crops(features, random, batch=batch, size=frames, unit="frames")


def sample_sounds(
    sounds: Sequence[Float32[np.ndarray, "_ channels"]], random: np.random.Generator, *, batch: int, samples: int
) -> Float32[np.ndarray, "batch samples channels"]:
    """Random crops of sound, each sample of the collection as likely as any other.

    Raises:
      ValueError: if no piece has so many samples.
    """
    return _crops(sounds, random, batch=batch, size=samples, unit="samples")


def crop_starts(
    lengths: Sequence[int], random: np.random.Generator, *, batch: int, size: int, unit: str
) -> list[tuple[int, int]]:
    """(piece, start) of random crops, each place of the collection as likely as any other.

    Args:
      lengths: of the pieces, in `unit`, which the error names.
    Raises:
      ValueError: if no piece is `size` long.
    """
    starts = np.array([max(0, length - size + 1) for length in lengths])
    if not starts.sum():
        longest = max(lengths, default=0)
        raise ValueError(f"got pieces of at most {longest} {unit}, expected at least one of {size}; give longer pieces")
    picks = random.choice(len(lengths), batch, p=starts / starts.sum())
    return [(int(pick), int(random.integers(starts[pick]))) for pick in picks]


def _crops(
    pieces: Sequence[np.ndarray], random: np.random.Generator, *, batch: int, size: int, unit: str
) -> np.ndarray:
    places = crop_starts([len(piece) for piece in pieces], random, batch=batch, size=size, unit=unit)
    return np.stack([np.asarray(pieces[piece][start : start + size]) for piece, start in places])


def mel_of_bands(config: CompactCodecConfig) -> Float[np.ndarray, "bands mels"]:
    """Mel magnitudes from band magnitudes: the bins of a band share its magnitude."""
    mel = mel_filters(config.sample_rate, config.window_samples, 128)
    return (bands.band_matrix(config) @ mel.T).astype(np.float32)


def _pool(config: CompactCodecConfig, features: Sequence[PieceFeatures]) -> Float32[np.ndarray, "frames features"]:
    """Every n-th frame of the collection as mid/side log magnitudes."""
    total = sum(len(piece) for piece in features)
    stride = max(1, total // _STATISTICS_FRAMES)
    rows = np.concatenate([np.asarray(piece[::stride]) for piece in features])
    return np.asarray(bands.features_of_energies(config, bands.energies_of_stored(jnp.asarray(rows))))


def _deviation(config: CompactCodecConfig, pool: Float32[np.ndarray, "frames features"]) -> Float32[np.ndarray, "features"]:
    """Standard deviation a band of mid and side; quiet bands are kept from dividing by almost nothing."""
    shape = (len(pool), config.stft_frames_per_frame, config.channels, bands.band_count(config))
    deviation = np.sqrt(pool.reshape(shape).var((0, 1)))
    deviation = np.maximum(deviation, max(0.25 * deviation[0].mean(), 1e-3))
    return np.tile(deviation.reshape(-1), config.stft_frames_per_frame).astype(np.float32)


def _principal_components(
    rows: Float32[np.ndarray, "frames features"], count: int, seed: int
) -> tuple[Float32[np.ndarray, "features count"], Float32[np.ndarray, "count"]]:
    """The leading principal directions and their variances, by subspace iteration.

    A few products with the rows take seconds where the full eigenproblem of 2592 features takes minutes; directions
    near the cut come out mixed with their neighbours, which costs nothing here.
    """
    basis = np.random.default_rng(seed).standard_normal((rows.shape[1], count + 32)).astype(np.float32)
    for _ in range(6):
        basis, _ = np.linalg.qr(rows.T @ (rows @ basis))
    _, singular, directions = np.linalg.svd(rows @ basis, full_matrices=False)
    found = min(count, len(singular))  # fewer frames than components leave the rest at zero
    vectors, variances = np.zeros((rows.shape[1], count), np.float32), np.zeros(count, np.float32)
    vectors[:, :found] = basis @ directions[:found].T
    variances[:found] = singular[:found] ** 2 / len(rows)
    return vectors, variances


def fit_start(config: CompactCodecConfig, features: Sequence[PieceFeatures], *, seed: int) -> dict[str, np.ndarray]:
    """A working codec without any gradient step: principal components and k-means codebooks.

    Args:
      features: some minutes of sound or more.
    Returns:
      flat tensors by slash path, as CompactCodec.from_tensors reads them; the correction nets are random and small.
    """
    pool = _pool(config, features)
    mean, deviation = pool.mean(0), _deviation(config, pool)
    scaling = network.statistics(config, jnp.asarray(mean), jnp.asarray(deviation))
    weight = np.asarray(scaling.weight)

    weighted = (pool - mean) * weight
    vectors, variances = _principal_components(weighted, config.latent_dim, seed)
    scale = np.float32(np.sqrt(max(variances.mean(), 1e-12)))  # latents of mean variance 1

    encoder_key, decoder_key, kmeans_key = jax.random.split(jax.random.key(seed), 3)
    frame = jnp.zeros((1, 1, len(mean)))
    encoder = jax.jit(network.Encoder(config).init)(encoder_key, frame, scaling)["params"]
    decoder = jax.jit(network.Decoder(config).init)(decoder_key, jnp.zeros((1, 1, config.latent_dim)), scaling)["params"]
    encoder["principal"]["kernel"] = jnp.asarray(vectors / scale)
    decoder["principal"]["kernel"] = jnp.asarray(vectors.T * scale)

    rows = jnp.asarray(pool[:: max(1, len(pool) // _KMEANS_FRAMES)][:_KMEANS_FRAMES])
    latents = jax.jit(network.Encoder(config).apply)({"params": encoder}, rows[:, None], scaling)[:, 0]
    codebooks = quantizer.kmeans(latents, key=kmeans_key, num_levels=config.num_levels, codebook_size=config.codebook_size)
    return {
        **network.flatten(encoder, "encoder"),
        **network.flatten(decoder, "decoder"),
        _CODEBOOKS: np.asarray(codebooks),
        "statistics/mean": mean,
        "statistics/deviation": deviation,
        network.GAIN: np.zeros(bands.band_count(config), np.float32),
    }
