"""Makes lm_plain.npz and lm_starter.npz: the language model's numbers, computed a second time without its code.

Everything here is written from the published description with plain NumPy loops in float64, and imports nothing of the
package. Run it only when the description of the model changes: python tests/golden/make_lm_golden.py
"""

from pathlib import Path

import numpy as np

HEADS, HEAD_DIM, DIM, MLP = 2, 6, 12, 20
ENCODER_LAYERS, TEMPORAL_LAYERS, DEPTH_LAYERS = 1, 2, 1
LEVELS, CONTEXT_LEVELS, CODES, STYLE_LEVELS, RESERVED = 3, 2, 24, 2, 6
CONTEXT_FRAMES, FRAMES = 6, 24
TEMPORAL_BUCKETS, DEPTH_BUCKETS = 32, 4  # 32, so that 24 frames reach where logarithmic buckets differ from linear
STYLE_OFFSET = 2 + LEVELS * CODES + RESERVED
ROWS = 128
CLOCK, CODEC_DIM, STYLE_DIM = 11, 5, 4


def rms_norm(x, scale):
    return x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + 1e-6) * scale


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def bucket(distance, buckets):
    """T5's causal bucket; here the largest distance equals the number of buckets."""
    exact = buckets // 2
    if distance < exact:
        return distance
    # float32 on purpose: bucket edges fall on whole numbers
    ratio = np.log(np.float32(distance) / np.float32(exact) + np.finfo(np.float32).eps) / np.log(buckets / exact)
    return min(exact + int(ratio * (buckets - exact)), buckets - 1)


def attention(p, x, memory, table=None):
    """One query at a time, one head at a time; a table makes it causal."""
    q, k, v = x @ p["query/kernel"], memory @ p["key/kernel"], memory @ p["value/kernel"]
    mixed = np.zeros_like(q)
    for h in range(HEADS):
        part = slice(h * HEAD_DIM, (h + 1) * HEAD_DIM)
        for i in range(len(x)):
            seen = range(len(memory)) if table is None else range(i + 1)
            scores = np.array([q[i, part] @ k[j, part] for j in seen])
            if table is not None:
                scores += [table[h, bucket(i - j, table.shape[1])] for j in seen]
            mixed[i, part] = softmax(scores) @ v[list(seen), part]
    return mixed @ p["out/kernel"]


def mlp(p, x):
    return (gelu(x @ p["wi_0/kernel"]) * (x @ p["wi_1/kernel"])) @ p["wo/kernel"]


def below(p, prefix):
    return {k[len(prefix) + 1 :]: v for k, v in p.items() if k.startswith(prefix + "/")}


def encode(p, x, clock=None):
    half = DIM // 2
    frequency = np.exp(-np.arange(half) * np.log(10000) / (half - 1))
    angle = np.arange(len(x))[:, None] * frequency
    x = x + np.concatenate([np.sin(angle), np.cos(angle)], 1)
    if clock is not None:
        x[: len(clock)] += clock @ p["clock/map/kernel"]
    for i in range(ENCODER_LAYERS):
        layer = below(p, f"layers_{i}")
        n = rms_norm(x, layer["pre_attention_layer_norm/scale"])
        x = x + attention(below(layer, "attention"), n, n)
        x = x + mlp(below(layer, "mlp"), rms_norm(x, layer["pre_mlp_layer_norm/scale"]))
    return rms_norm(x, p["encoder_norm/scale"])


def temporal(p, x, encoded, clock=None):
    if clock is not None:
        x = x + clock @ p["clock/map/kernel"]
    for i in range(TEMPORAL_LAYERS):
        layer = below(p, f"layers_{i}")
        n = rms_norm(x, layer["pre_self_attention_layer_norm/scale"])
        x = x + attention(below(layer, "self_attention"), n, n, p["relpos_bias/rel_embedding"])
        n = rms_norm(x, layer["pre_cross_attention_layer_norm/scale"])
        x = x + attention(below(layer, "encoder_decoder_attention"), n, encoded)
        x = x + mlp(below(layer, "mlp"), rms_norm(x, layer["pre_mlp_layer_norm/scale"]))
    return x


def depth(p, x):
    for i in range(DEPTH_LAYERS):
        layer = below(p, f"depth_layers_{i}")
        n = rms_norm(x, layer["pre_self_attention_layer_norm/scale"])
        x = x + attention(below(layer, "self_attention"), n, n, p["relpos_bias_depth/rel_embedding"])
        x = x + mlp(below(layer, "mlp"), rms_norm(x, layer["pre_mlp_layer_norm/scale"]))
    return x


def recall(p, heard, tempo, missing):
    """What bar recall adds: the context frame the fewest whole bars back that there is."""
    bar = round(4 * 60 / (120 * 2.0**tempo) * 25)
    added = np.zeros((FRAMES, DIM))
    for t in range(FRAMES):
        place = t - bar
        while place >= 0:
            place -= bar
        if place >= -CONTEXT_FRAMES and not missing[place]:
            added[t] = heard[place] @ p["bar_recall/map/kernel"]
    return added


def model(p, embed, context_rows, style_rows, targets, clocks=(None, None), heard=None, missing=None):
    """Normalised depth output [frames, levels, DIM] for known targets [frames, levels].

    `heard`, the mean vector of each context frame, switches on what the starter adds to the released form: frame 0 starts
    from the last of them, bar recall, the mean style vector in every frame input, and the temporal output in every depth
    input.
    """
    encoded = encode(below(p, "encoder"), np.concatenate([context_rows, style_rows]), clocks[0])
    inputs = [embed(0)] + [np.mean([embed(t) for t in frame], axis=0) for frame in targets[:-1]]
    stacks = below(p, "decoder/decoder")
    inputs = np.array(inputs)
    if heard is not None:
        inputs[0] = heard[-1]
        inputs = inputs + recall(below(stacks, "temporal_decoder"), heard, clocks[1][0, -1], missing)
        inputs = inputs + style_rows.mean(0) @ stacks["temporal_decoder/style_input/kernel"]
    summary = temporal(below(stacks, "temporal_decoder"), inputs, encoded, clocks[1])
    everywhere = heard is not None
    out = [
        depth(below(stacks, "depth_decoder"), np.array([c] + [embed(t) + c * everywhere for t in frame[:-1]]))
        for c, frame in zip(summary, targets)
    ]
    return rms_norm(np.array(out), p["decoder/decoder_norm/scale"])


def stack_shapes(clock):
    """Names and shapes of all but the token tables."""
    inner = HEADS * HEAD_DIM
    att = {f"{n}/kernel": (DIM, inner) for n in ("query", "key", "value")} | {"out/kernel": (inner, DIM)}
    ff = {"wi_0/kernel": (DIM, MLP), "wi_1/kernel": (DIM, MLP), "wo/kernel": (MLP, DIM)}
    s = {"encoder/encoder_norm/scale": (DIM,), "decoder/decoder_norm/scale": (DIM,)}
    d = "decoder/decoder/"
    s[d + "temporal_decoder/relpos_bias/rel_embedding"] = (HEADS, TEMPORAL_BUCKETS)
    s[d + "depth_decoder/relpos_bias_depth/rel_embedding"] = (HEADS, DEPTH_BUCKETS)
    blocks = [(f"encoder/layers_{i}", {"attention": "pre_attention"}) for i in range(ENCODER_LAYERS)]
    blocks += [
        (d + f"temporal_decoder/layers_{i}",
         {"self_attention": "pre_self_attention", "encoder_decoder_attention": "pre_cross_attention"})
        for i in range(TEMPORAL_LAYERS)
    ]  # fmt: skip
    blocks += [
        (d + f"depth_decoder/depth_layers_{i}", {"self_attention": "pre_self_attention"}) for i in range(DEPTH_LAYERS)
    ]
    for prefix, attentions in blocks:
        for name, norm in attentions.items():
            s |= {f"{prefix}/{name}/{k}": v for k, v in att.items()} | {f"{prefix}/{norm}_layer_norm/scale": (DIM,)}
        s |= {f"{prefix}/mlp/{k}": v for k, v in ff.items()} | {f"{prefix}/pre_mlp_layer_norm/scale": (DIM,)}
    if clock:
        s |= {"encoder/clock/map/kernel": (CLOCK, DIM), d + "temporal_decoder/clock/map/kernel": (CLOCK, DIM)}
        s[d + "temporal_decoder/bar_recall/map/kernel"] = (DIM, DIM)
        s[d + "temporal_decoder/style_input/kernel"] = (DIM, DIM)
    return s


def draw(rng, shapes):
    """Parameters large enough for every part to matter, and exact in float32."""
    out = {}
    for name, shape in shapes.items():
        if name.endswith("scale"):
            value = 1 + 0.4 * rng.standard_normal(shape)
        elif "rel_embedding" in name or "embedding" in name or "special" in name or "bias" in name:
            value = rng.standard_normal(shape)
        else:
            value = rng.standard_normal(shape) / np.sqrt(shape[-2]) * (0.6 if "query" in name else 1)
        out[name] = value.astype(np.float32)
    return out


def pick_tokens(rng):
    step = np.arange(LEVELS) * CODES
    context = 2 + rng.integers(0, CODES, (CONTEXT_FRAMES, CONTEXT_LEVELS)) + step[:CONTEXT_LEVELS]
    context[:2] = 1  # two missing frames
    style = STYLE_OFFSET + rng.integers(0, CODES, STYLE_LEVELS) + np.arange(STYLE_LEVELS) * CODES
    targets = 2 + rng.integers(0, CODES, (FRAMES, LEVELS)) + step
    return context, style, targets


def greedy(p, context, styles, weight, frames=4):
    """Greedy ids within each level under guidance, without caches: the whole model again for every id."""
    table, kernel = p["token_embedder/embedding"], p["decoder/logits_dense/kernel"]
    tokens = np.full((frames, LEVELS), 2)
    for t in range(frames):
        for q in range(LEVELS):
            rows = [(model(p, lambda i: table[i], table[context.ravel()], table[s], tokens)[t, q] @ kernel) for s in styles]
            guided = (1 + weight) * rows[0] - weight * rows[1]
            first = 2 + q * CODES
            tokens[t, q] = first + np.argmax(guided[first : first + CODES])
    return tokens


def make_plain(rng):
    """The released form: one position a context token, one table, full vocabulary."""
    shapes = {"token_embedder/embedding": (ROWS, DIM), "decoder/logits_dense/kernel": (DIM, ROWS)} | stack_shapes(False)
    p = draw(rng, shapes)
    context, style, targets = pick_tokens(rng)
    wide = {k: v.astype(np.float64) for k, v in p.items()}
    table = wide["token_embedder/embedding"]
    hidden = model(wide, lambda i: table[i], table[context.ravel()], table[style], targets)
    logits = hidden @ wide["decoder/logits_dense/kernel"]
    return {
        "encoder_tokens": np.concatenate([context.ravel(), style]).astype(np.int32),
        "target_tokens": targets.astype(np.int32),
        "logits": logits.astype(np.float32),
        "greedy_guided": greedy(wide, context, [style, np.ones_like(style)], 2.0).astype(np.int32),
    } | {"param:" + k: v for k, v in p.items()}


def make_starter(rng):
    """The starter's form: levels of a context frame summed, tables from code vectors, clock."""
    shapes = stack_shapes(True) | {
        "token_embedder/special": (2, DIM),
        "token_embedder/codec_map": (LEVELS, CODEC_DIM, DIM),
        "token_embedder/style_map": (STYLE_LEVELS, STYLE_DIM, DIM),
        "decoder/logits_dense/codec_map": (LEVELS, DIM, CODEC_DIM),
        "decoder/logits_dense/bias": (LEVELS, CODES),
    }
    p = draw(rng, shapes)
    codec = rng.standard_normal((LEVELS, CODES, CODEC_DIM)).astype(np.float32)
    style_vectors = rng.standard_normal((STYLE_LEVELS, CODES, STYLE_DIM)).astype(np.float32)
    clocks = [rng.standard_normal((n, CLOCK)).astype(np.float32) for n in (CONTEXT_FRAMES, FRAMES)]
    clocks[1][:, -1] = np.log2(1200 / 120)  # a bar of 5 frames
    context, style, targets = pick_tokens(rng)
    w = {k: v.astype(np.float64) for k, v in p.items()}

    def embed(token):
        if token < 2:
            return w["token_embedder/special"][token]
        if token >= STYLE_OFFSET:
            level, code = divmod(token - STYLE_OFFSET, CODES)
            return style_vectors[level, code] @ w["token_embedder/style_map"][level]
        level, code = divmod(token - 2, CODES)
        return codec[level, code] @ w["token_embedder/codec_map"][level]

    context_rows = np.array([sum(embed(t) for t in frame) for frame in context])
    hidden = model(w, embed, context_rows, np.array([embed(t) for t in style]), targets, clocks,
                   context_rows / CONTEXT_LEVELS, (context == 1).any(1))  # fmt: skip
    maps, bias = w["decoder/logits_dense/codec_map"], w["decoder/logits_dense/bias"]
    logits = np.stack([hidden[:, q] @ maps[q] @ codec[q].T + bias[q] for q in range(LEVELS)], axis=1)
    return {
        "encoder_tokens": np.concatenate([context.ravel(), style]).astype(np.int32),
        "target_tokens": targets.astype(np.int32),
        "context_clock": clocks[0],
        "target_clock": clocks[1],
        "codec_vectors": codec,
        "style_vectors": style_vectors,
        "logits": logits.astype(np.float32),
    } | {"param:" + k: v for k, v in p.items()}


def main():
    folder = Path(__file__).parent
    np.savez_compressed(folder / "lm_plain.npz", **make_plain(np.random.default_rng(1)))
    np.savez_compressed(folder / "lm_starter.npz", **make_starter(np.random.default_rng(2)))


if __name__ == "__main__":
    main()
