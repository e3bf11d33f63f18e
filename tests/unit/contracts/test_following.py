from datetime import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.following import Window


@given(st.times().map(lambda moment: moment.replace(microsecond=0)), st.booleans())
def test_a_time_of_day_is_the_one_that_is_written(moment: time, has_seconds: bool) -> None:  # noqa: FBT001
    moment = moment if has_seconds else moment.replace(second=0)
    text = moment.isoformat("seconds" if has_seconds else "minutes")
    for written in (text, f'"{text}"'):
        assert Window.model_validate(yaml.safe_load(f"start: {written}")).start == moment


@pytest.mark.parametrize("written", ["24:00", "18:60", "-1:00", "true", "noon", "86400"])
def test_what_is_no_time_of_day_is_refused(written: str) -> None:
    with pytest.raises(ValidationError):
        Window.model_validate(yaml.safe_load(f"start: {written}"))
