"""Draws a document's charts."""

import vl_convert

from services.reporting.domain.document import Chart


def chart_svg(chart: Chart) -> str:
    """The chart as SVG text; its data is inline, and nothing may be fetched."""
    svg: str = vl_convert.vegalite_to_svg(dict(chart.specification), allowed_base_urls=[])
    return svg
