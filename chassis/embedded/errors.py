"""What can go wrong with an embedded server."""


class EmbeddedServerError(Exception):
    """An embedded server cannot do what was asked.

    Codes: `port_taken`, `data_dir_damaged`, `data_dir_in_use`, `data_dir_version`, `data_dir_unreachable`,
    `binaries_missing`, `no_account`, `not_started`, `start_failed`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
