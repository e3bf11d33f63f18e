"""Opens the source of a pair by its connector."""

from contextlib import AbstractContextManager

from contracts.mapping import Pair
from services.ingest.sources.connections import open_database
from services.ingest.sources.feature_service import open_feature_service
from services.ingest.sources.files import open_files
from services.ingest.sources.source import Source


def open_source(pair: Pair, url: str) -> AbstractContextManager[Source]:
    """The pair's source, read only, as one consistent picture where it can be one."""
    openers = {"files": open_files, "feature_service": open_feature_service}
    return openers.get(pair.connector, open_database)(pair, url)
