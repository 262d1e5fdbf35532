"""The base of every declared record: frozen, no unknown key, no silent conversion."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """A frozen record that rejects unknown keys, missing keys and values of another type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
