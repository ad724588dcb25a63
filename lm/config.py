"""Sizes of the language model. Every size is plain configuration; the presets name the ones in use.

Sources: "spec" is the released model's configuration and checkpoint (Live Music Models, arXiv 2508.04651, section 2
and appendix; numbers read off the released checkpoints' tensors), "ours" is this project's own choice.
"""

from dataclasses import dataclass, replace

PAD = 0
"""Id of padding, and the decoder's first input (spec)."""
MASK = 1
"""Id of missing context and of masked style (spec)."""
NUM_SPECIAL = 2
"""Ids below the first codec token (spec)."""
VOCABULARY_MULTIPLE = 128
"""Embedding rows are rounded up to this (spec)."""


@dataclass(frozen=True, kw_only=True)
class LMConfig:
    """One model: an encoder over context and style, a temporal stack over frames, a depth stack over levels."""

    # --- network (spec: base 768 / 12 x 64 / 2048, large 1024 / 16 x 64 / 2816)
    dim: int  # width of every residual stream
    num_heads: int  # attention heads
    head_dim: int = 64  # features a head
    mlp_dim: int  # inner features of the gated MLP, in all three stacks
    encoder_layers: int  # spec: 12 base, 24 large
    temporal_layers: int  # spec: 20 both
    depth_layers: int  # spec: 4 both
    temporal_buckets: int = 128  # relative-bias buckets of the temporal stack, also its max distance in frames (spec)
    depth_buckets: int = 16  # the same for the depth stack, in levels (spec)
    activation_dtype: str = "float32"  # "bfloat16" reproduces the released compute dtype (spec)
    rematerialise: bool = False  # training only: keep a layer's input and compute its inside again for the gradient

    # --- tokens
    num_levels: int = 16  # RVQ levels generated a frame (spec)
    context_levels: int = 4  # coarsest levels the encoder sees (spec)
    codebook_size: int = 1024  # codes a level, codec and style alike (spec)
    style_levels: int = 6  # style RVQ levels used, of 12 (spec)
    reserved_tokens: int = 1024  # unused ids between codec and style (spec)
    unused_tokens: int = 6144  # unused ids after style: room for style levels 6..11 (spec)
    context_frames: int = 250  # 10 s at 25 Hz (spec)
    chunk_frames: int = 50  # most frames of one request: 2 s (spec)
    context_positions_per_frame: int = 4  # encoder positions a context frame: context_levels (spec) or 1, summed (ours)

    # --- ours: absent from the released geometry
    factorised: bool = False  # token tables are learned maps of frozen code vectors while training
    logits_bias: bool = False  # a bias on the output head, started at log unigram
    clock: bool = False  # metrical clock controls
    summary_at_every_level: bool = False  # the temporal output is added to every depth input, not only to level 0's
    continue_context: bool = False  # frame 0 starts from the last context frame instead of from PAD
    bar_recall: bool = False  # every frame to come is shown the context frame a whole number of bars before it
    style_at_every_frame: bool = False  # the style is also added to every temporal input, not only attended to
    code_lengths: bool = False  # factorised tables also see each codec code vector's squared length
    averaged_levels: int = 0  # finest levels that generation does not draw but averages (lm.averaging); training: as ever
    codec_code_dim: int = 0  # features of a codec code vector, when factorised
    style_code_dim: int = 0  # features of a style code vector, when factorised

    def __post_init__(self) -> None:
        if self.context_positions_per_frame not in (1, self.context_levels):
            raise ValueError(
                f"got context_positions_per_frame {self.context_positions_per_frame}, "
                f"expected 1 (levels summed) or context_levels = {self.context_levels}"
            )
        if self.context_levels > self.num_levels:
            raise ValueError(
                f"got context_levels {self.context_levels} above num_levels {self.num_levels}: lower the former"
            )
        if not 0 <= self.averaged_levels < self.num_levels:
            raise ValueError(
                f"got averaged_levels {self.averaged_levels}, expected 0 to {self.num_levels - 1}: level 0 is always drawn"
            )
        if self.bar_recall and not self.clock:
            raise ValueError("bar_recall finds the bar by the clock: set clock as well")
        if self.factorised and not (self.codec_code_dim and self.style_code_dim):
            raise ValueError("a factorised model needs codec_code_dim and style_code_dim: the code vectors' widths")
        if self.activation_dtype not in ("float32", "bfloat16"):
            raise ValueError(f"got activation_dtype {self.activation_dtype!r}, expected 'float32' or 'bfloat16'")

    @property
    def style_offset(self) -> int:
        """Id of style level 0, code 0 (17410 in the released vocabulary)."""
        return NUM_SPECIAL + self.num_levels * self.codebook_size + self.reserved_tokens

    @property
    def vocabulary_size(self) -> int:
        """Number of ids, unused ones included (29698 in the released vocabulary)."""
        return self.style_offset + self.style_levels * self.codebook_size + self.unused_tokens

    @property
    def vocabulary_rows(self) -> int:
        """Rows of the embedding and columns of the head (29824 in the released checkpoints)."""
        return -(-self.vocabulary_size // VOCABULARY_MULTIPLE) * VOCABULARY_MULTIPLE

    @property
    def encoder_tokens(self) -> int:
        """Tokens the encoder is given: the context frame by frame, then the style (1006)."""
        return self.context_frames * self.context_levels + self.style_levels

    @property
    def encoder_positions(self) -> int:
        """Positions the encoder attends over (1006, or 256 with one position a frame)."""
        return self.context_frames * self.context_positions_per_frame + self.style_levels

    @property
    def codec_features(self) -> int:
        """Features of a codec code in the factorised tables: its vector and, with `code_lengths`, its squared length."""
        return self.codec_code_dim + self.code_lengths

    @property
    def drawn_levels(self) -> int:
        """Levels whose codes generation draws, the coarsest."""
        return self.num_levels - self.averaged_levels

    @property
    def plain(self) -> "LMConfig":
        """The configuration of this model once its token tables are materialized (see lm.tables.materialize)."""
        return replace(self, factorised=False, logits_bias=self.logits_bias or self.factorised)


def base() -> LMConfig:
    """The released Base model: 347,873,472 parameters."""
    return LMConfig(dim=768, num_heads=12, mlp_dim=2048, encoder_layers=12, temporal_layers=20, depth_layers=4)


def large() -> LMConfig:
    """The released Large model: 761,651,456 parameters."""
    return LMConfig(dim=1024, num_heads=16, mlp_dim=2816, encoder_layers=24, temporal_layers=20, depth_layers=4)


def starter(*, codec_code_dim: int = 128, style_code_dim: int = 128) -> LMConfig:
    """The bundled model: small enough to be trained and played on two CPU cores.

    Args:
      codec_code_dim: features of the codec's code vectors.
      style_code_dim: features of the style RVQ's code vectors.
    """
    return LMConfig(
        dim=256,
        num_heads=4,
        mlp_dim=512,
        encoder_layers=2,
        temporal_layers=6,
        depth_layers=2,
        num_levels=4,
        reserved_tokens=0,
        unused_tokens=0,
        context_positions_per_frame=1,
        factorised=True,
        clock=True,
        summary_at_every_level=True,
        continue_context=True,
        bar_recall=True,
        style_at_every_frame=True,
        code_lengths=True,
        averaged_levels=3,
        codec_code_dim=codec_code_dim,
        style_code_dim=style_code_dim,
    )


def tiny(*, factorised: bool = False, context_positions_per_frame: int = 1) -> LMConfig:
    """A model for tests: milliseconds, and every part present."""
    return LMConfig(
        dim=16,
        num_heads=2,
        head_dim=8,
        mlp_dim=24,
        encoder_layers=1,
        temporal_layers=2,
        depth_layers=1,
        num_levels=3,
        context_levels=2,
        codebook_size=32,
        style_levels=2,
        reserved_tokens=32,
        unused_tokens=0,
        context_frames=8,
        chunk_frames=5,
        context_positions_per_frame=context_positions_per_frame,
        factorised=factorised,
        clock=factorised,
        summary_at_every_level=factorised,
        continue_context=factorised,
        bar_recall=factorised,
        style_at_every_frame=factorised,
        code_lengths=factorised,
        codec_code_dim=6 if factorised else 0,
        style_code_dim=5 if factorised else 0,
    )
