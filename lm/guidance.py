"""Classifier-free guidance: push the logits away from what the model would say without a condition."""

from jaxtyping import Array, Float

Weight = Float[Array, ""] | float
"""0 is off."""


def guide(positive: Float[Array, "*shape"], negative: Float[Array, "*shape"], weight: Weight) -> Float[Array, "*shape"]:
    """(1 + w) * positive - w * negative.

    Args:
      positive: logits with the condition (the style, or the mixed-in input).
      negative: logits without it.
      weight: 0 gives `positive`; the released default for style is 5.0 in this form.
    Source: Live Music Models, appendix E; Ho and Salimans 2022.
    """
    return (1.0 + weight) * positive - weight * negative


def guide_twice(
    conditioned: Float[Array, "*shape"],
    masked_style: Float[Array, "*shape"],
    own_context: Float[Array, "*shape"],
    style_weight: Weight,
    input_weight: Weight,
) -> Float[Array, "*shape"]:
    """l(mix, style) + w_style * (l(mix, style) - l(mix, masked)) + w_input * (l(mix, style) - l(own, style)).

    Args:
      conditioned: logits with the mixed context and the style.
      masked_style: the mixed context, the style (and the clock, if there is one) masked.
      own_context: the model's own context without the player's input, the style given.
      style_weight, input_weight: 0 switches that guidance off.
    Source: ours; the two guidances of Live Music Models (section 3.1 and appendix E) made to act independently.
    """
    return conditioned + style_weight * (conditioned - masked_style) + input_weight * (conditioned - own_context)
