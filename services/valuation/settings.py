"""The settings of valuation, beyond those of every service."""

from pydantic import Field

from chassis.settings import ServiceSettings


class Settings(ServiceSettings):
    """What valuation reads from the environment."""

    valuation_processes: int = Field(
        default=2,
        ge=1,
        title="processes that value a large scope, or judge models while they are fitted; about 0.5 GB each",
    )
