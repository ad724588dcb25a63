# pyright: reportMissingImports=false
"""The peers, from the transformers library, built from their published geometry with random weights: nothing is fetched.

Runs in the environment of requirements.txt, started by side_by_side.py.
"""

from __future__ import annotations

from typing import Any

import torch
import transformers
import worker
from transformers import (
    DacConfig,
    DacModel,
    EncodecConfig,
    EncodecModel,
    MimiConfig,
    MimiModel,
    MusicgenConfig,
    MusicgenDecoderConfig,
    MusicgenForConditionalGeneration,
    T5Config,
)

TOKEN_RATE_HZ = 50
"""MusicGen's frames a second."""
DELAY_FRAMES = 3
"""Of its four codebooks, each begins a frame after the one before."""
GUIDANCE_SCALE = 3.0
PROMPT_TOKENS = 12


def musicgen(order: worker.Order) -> worker.Loaded:
    """MusicGen-small: T5-base text encoder, 24 layers of 1024, EnCodec at 32 kHz; mono, guidance on."""
    text: dict[str, Any] = {"d_model": 768, "d_ff": 3072, "num_layers": 12, "num_heads": 12}
    decoder: dict[str, Any] = {}
    codec: dict[str, Any] = {"num_filters": 64}
    if order.tiny:
        text = {"d_model": 32, "d_ff": 64, "d_kv": 16, "num_layers": 1, "num_heads": 2, "vocab_size": 128}
        decoder = {"hidden_size": 32, "ffn_dim": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
        codec = {"num_filters": 4}
    config = MusicgenConfig(
        text_encoder=T5Config(**text),
        decoder=MusicgenDecoderConfig(**decoder),
        audio_encoder=EncodecConfig(
            sampling_rate=32_000, codebook_size=2048, target_bandwidths=[2.2], upsampling_ratios=[8, 5, 4, 4],
            use_causal_conv=False, use_conv_shortcut=False, **codec,
        ),
    )  # fmt: skip
    model = MusicgenForConditionalGeneration(config).eval().to(getattr(torch, order.dtype))
    prompt = torch.arange(3, 3 + PROMPT_TOKENS)[None]
    frames = round(order.seconds * TOKEN_RATE_HZ)
    start = config.decoder.bos_token_id

    @torch.inference_mode()
    def generate() -> float:
        sound = model.generate(
            input_ids=prompt, attention_mask=torch.ones_like(prompt), do_sample=True, top_k=40,
            guidance_scale=GUIDANCE_SCALE, max_new_tokens=frames + DELAY_FRAMES,
            decoder_start_token_id=start, bos_token_id=start, pad_token_id=start,
        )  # fmt: skip
        return sound.shape[-1] / model.config.audio_encoder.sampling_rate

    return worker.Loaded(
        parameters=_count(model),
        core_parameters=_count(model.decoder),
        sample_rate=32_000,
        channels=1,
        bits_per_second=TOKEN_RATE_HZ * 4 * 11,
        runs={"generate": generate},
        note=f"{order.dtype}; guidance scale {GUIDANCE_SCALE:g}; text encoder and codec included",
    )


def encodec(order: worker.Order) -> worker.Loaded:
    """EnCodec 48 kHz stereo at 6 kbit/s."""
    config = EncodecConfig(
        sampling_rate=48_000, audio_channels=2, target_bandwidths=[3.0, 6.0, 12.0, 24.0], normalize=True,
        chunk_length_s=1.0, overlap=0.01, norm_type="time_group_norm", use_causal_conv=False,
        num_filters=4 if order.tiny else 32,
    )  # fmt: skip
    model = EncodecModel(config).eval()
    samples = torch.randn(1, 2, round(order.seconds * 48_000)) * 0.1

    @torch.inference_mode()
    def encode() -> Any:
        return model.encode(samples, bandwidth=6.0)

    encoded = encode()

    @torch.inference_mode()
    def decode() -> float:
        padding = getattr(encoded, "last_frame_pad_length", 0)
        model.decode(encoded.audio_codes, encoded.audio_scales, last_frame_pad_length=padding)
        return order.seconds

    def encode_seconds() -> float:
        encode()
        return order.seconds

    return _codec(model, 48_000, 2, 6_000.0, encode_seconds, decode, "chunks of 1 s")


def dac(order: worker.Order) -> worker.Loaded:
    """DAC 44.1 kHz mono, nine codebooks."""
    sizes = {"encoder_hidden_size": 8, "decoder_hidden_size": 96} if order.tiny else {}
    config = DacConfig(sampling_rate=44_100, downsampling_ratios=[2, 4, 8, 8], **sizes)
    model = DacModel(config).eval()
    hop = config.hop_length
    samples = torch.randn(1, 1, round(order.seconds * 44_100) // hop * hop) * 0.1
    seconds = samples.shape[-1] / 44_100

    @torch.inference_mode()
    def encode() -> Any:
        return model.encode(samples).audio_codes

    codes = encode()

    @torch.inference_mode()
    def decode() -> float:
        model.decode(audio_codes=codes)
        return seconds

    def encode_seconds() -> float:
        encode()
        return seconds

    return _codec(model, 44_100, 1, 44_100 / hop * config.n_codebooks * 10, encode_seconds, decode, "mono")


def mimi(order: worker.Order) -> worker.Loaded:
    """Mimi 24 kHz mono, eight codebooks as Moshi uses them."""
    sizes: dict[str, Any] = {}
    if order.tiny:
        sizes = {
            "hidden_size": 32, "num_filters": 4, "num_hidden_layers": 1, "intermediate_size": 32, "num_attention_heads": 2,
            "num_key_value_heads": 2, "codebook_dim": 16, "vector_quantization_hidden_dimension": 16, "upsample_groups": 32,
        }  # fmt: skip
    model = MimiModel(MimiConfig(**sizes)).eval()
    samples = torch.randn(1, 1, round(order.seconds * 24_000)) * 0.1

    @torch.inference_mode()
    def encode() -> Any:
        return model.encode(samples, num_quantizers=8).audio_codes

    codes = encode()

    @torch.inference_mode()
    def decode() -> float:
        model.decode(codes)
        return order.seconds

    def encode_seconds() -> float:
        encode()
        return order.seconds

    return _codec(model, 24_000, 1, 12.5 * 8 * 11, encode_seconds, decode, "mono; 8 of 32 codebooks")


MODELS: dict[str, worker.Load] = {
    "MusicGen-small": musicgen, "EnCodec 48 kHz": encodec, "DAC 44.1 kHz": dac, "Mimi 24 kHz": mimi,
}  # fmt: skip


def _codec(
    model: Any, sample_rate: int, channels: int, bits: float, encode: Any, decode: Any, note: str
) -> worker.Loaded:
    return worker.Loaded(
        parameters=_count(model),
        core_parameters=_count(model),
        sample_rate=sample_rate,
        channels=channels,
        bits_per_second=bits,
        runs={"encode": encode, "decode": decode},
        note=note,
    )


def _count(model: Any) -> int:
    """Parameters, and codebooks, which EnCodec and Mimi keep as buffers; what they are averaged from is not counted."""
    averages = ("embed_avg", "cluster_size", "cluster_usage", "inited", "initialized")
    buffers = [value for name, value in model.named_buffers() if value.is_floating_point() and not name.endswith(averages)]
    return sum(tensor.numel() for tensor in [*model.parameters(), *buffers])


if __name__ == "__main__":
    torch.manual_seed(0)
    threads = str(torch.get_num_threads())
    worker.serve(MODELS, {"torch": torch.__version__, "transformers": transformers.__version__, "torch threads": threads})
