"""clients/sdk."""
