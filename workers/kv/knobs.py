"""One schema for the knobs of every KV policy: names, units, limits. Which policy takes which is the policies' own
say."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


class Knobs(BaseModel):
    """Lengths are tokens. A field that is None was not given; the policy's own default then holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sink: int | None = Field(None, ge=0, description="first tokens, kept for good; rounded up to whole blocks")
    window: int | None = Field(None, ge=1, description="last tokens before the query's block, a multiple of the block")
    budget: int | None = Field(None, ge=1, description="tokens between sink and window that are kept or read back")
    decay: float | None = Field(None, gt=0, le=1, description="factor on every score, each time a turn begins")
    turn_token: int | None = Field(None, ge=0, description="id of the token that begins a turn")
    heads: dict[int, tuple[int, ...]] | None = Field(None, description="layer → its KV heads that keep everything")
    select: Literal["topk", "mass", "coverage", "runs"] | None = Field(
        None, description="how blocks are chosen by score"
    )
    representative: Literal["mean", "every"] | None = Field(
        None, description="a block is scored by the mean of its keys, or by every key"
    )
    mass: float | None = Field(None, gt=0, le=1, description="for select=mass: the share of the weight to reach")
    when: Literal["question", "always"] | None = Field(
        None, description="read blocks back from the prompt's last block on, or for every block"
    )
    vision_window: int | None = Field(
        None, ge=0, description="last image or video tokens kept, a multiple of the block"
    )
    vision_tokens: tuple[int, ...] | None = Field(None, description="ids that stand for image or video")

    @field_validator("heads")
    @classmethod
    def _in_order(cls, heads: dict[int, tuple[int, ...]] | None) -> dict[int, tuple[int, ...]] | None:
        """One way to write the same heads: a choice is known by its knobs as they are written."""
        return heads and {layer: tuple(sorted(set(heads[layer]))) for layer in sorted(heads)}

    def given(self) -> dict[str, object]:
        """The knobs that were set, by name."""
        return self.model_dump(exclude_none=True)
