"""The mappings that the county folders hold."""

from pathlib import Path

import yaml

from contracts.mapping import CountyMappings, Pair

COUNTIES = Path(__file__).resolve().parents[2] / "deploy" / "counties"


def county_pair(county: str = "synthetic_wa") -> Pair:
    """The first pair of a county."""
    return CountyMappings.model_validate(yaml.safe_load((COUNTIES / county / "mappings.yaml").read_text())).pairs[0]
