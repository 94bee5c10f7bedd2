"""The base of every block of a recipe: what is strict about all of them."""

from __future__ import annotations

from typing import Any, get_origin

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from hone.core.options import TRUTH, misplaced_truth


class Settings(BaseModel):
    """Base of every block of a recipe: unknown keys are errors, a truth value is no number, and numbers are finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _as_written(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse truth values where none is wanted; take `1,4,16` for a list."""
        annotation = cls.model_fields[str(info.field_name)].annotation
        if misplaced_truth(value, annotation):
            raise ValueError(TRUTH)
        if isinstance(value, str) and get_origin(annotation) is tuple and "," in value:
            return [part.strip() for part in value.split(",")]
        return value
