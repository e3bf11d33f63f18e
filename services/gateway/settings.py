"""What the gateway reads from the environment."""

from datetime import timedelta

from pydantic import Field

from chassis.settings import ServiceSettings
from services.gateway.domain.tokens import MINIMUM_SECRET_CHARACTERS


class GatewaySettings(ServiceSettings):
    """Settings of the gateway; durations are ISO 8601 or seconds."""

    access_token_lifetime: timedelta = Field(default=timedelta(minutes=15), title="how long an access token is valid")
    refresh_token_lifetime: timedelta = Field(default=timedelta(days=14), title="how long a login can be renewed")
    login_attempts: int = Field(default=5, ge=1, title="failed logins of a name and address within the window")
    login_window: timedelta = Field(default=timedelta(minutes=5), title="the window that failed logins count in")
    request_body_bytes: int = Field(default=1 << 20, ge=1024, title="the largest request body that is read")
    answer_wait: timedelta = Field(default=timedelta(seconds=30), title="how long another service may take to answer")
    event_check_interval: timedelta = Field(
        default=timedelta(seconds=10), title="silence after which an event stream looks whether it missed something"
    )

    def complaint(self) -> str | None:
        """Why the gateway must not start with these settings."""
        if len(self.secret_key.get_secret_value()) < MINIMUM_SECRET_CHARACTERS:
            return f"TERRAFUSION_SECRET_KEY must have at least {MINIMUM_SECRET_CHARACTERS} characters: it signs tokens"
        return None
