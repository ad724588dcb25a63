"""Controls: what the player chose, apart from the style."""

from __future__ import annotations

import dataclasses
import math

SLOWEST_BPM = 20.0
FASTEST_BPM = 400.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Controls:
    """An immutable snapshot of the knobs, read once a request.

    Source: Live Music Models, section 3.1 (T 1.3, top-k 40, guidance 5.0 for the released weights). A bundle states
    its own defaults; those below are for bundles that state none. `bpm` is ours: the metrical clock of `lm/clock.py`.
    """

    temperature: float = 0.9
    """0 picks the likeliest code; above 1 is wilder. Range 0 .. 4."""
    top_k: int = 40
    """Codes that may be drawn at each level; 0 keeps all 1024."""
    guidance_weight: float = 1.5
    """w in (1 + w) * styled - w * unstyled; 0 is off. Range 0 .. 20."""
    bpm: float | None = None
    """Beats a minute, 20 .. 400; None leaves the tempo to the model."""
    adapter_strength: float | None = None
    """Of a finetuned bundle's adapters: 0 is the base, 1 as trained, up to 2; None is the bundle's own. Others have none."""

    def __post_init__(self) -> None:
        _check_range("temperature", self.temperature, 0.0, 4.0)
        _check_range("guidance_weight", self.guidance_weight, 0.0, 20.0)
        if isinstance(self.top_k, bool) or int(self.top_k) != self.top_k or not 0 <= self.top_k <= 1024:
            raise ValueError(f"top_k is {self.top_k!r}; give a whole number from 0 (no limit) to 1024")
        if self.bpm is not None:
            _check_range("bpm", self.bpm, SLOWEST_BPM, FASTEST_BPM)
        if self.adapter_strength is not None:
            _check_range("adapter_strength", self.adapter_strength, 0.0, 2.0)

    def replace(
        self,
        *,
        temperature: float | None = None,
        top_k: int | None = None,
        guidance_weight: float | None = None,
        bpm: float | None = None,
        adapter_strength: float | None = None,
    ) -> Controls:
        """A copy with the given knobs turned; None keeps a knob where it is."""
        return Controls(
            temperature=self.temperature if temperature is None else temperature,
            top_k=self.top_k if top_k is None else top_k,
            guidance_weight=self.guidance_weight if guidance_weight is None else guidance_weight,
            bpm=self.bpm if bpm is None else bpm,
            adapter_strength=self.adapter_strength if adapter_strength is None else adapter_strength,
        )


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not isinstance(value, int | float) or not math.isfinite(value) or not low <= value <= high:
        raise ValueError(f"{name} is {value!r}; give a number from {low:g} to {high:g}")
