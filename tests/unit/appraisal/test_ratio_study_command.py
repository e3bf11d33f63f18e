"""`terrafusion ratio-study` as a person or a script calls it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from clients.sdk.cli import app
from tests.support.shared_data import shared_data

KEYS = ["median", "mean", "weighted_mean", "cod", "prd", "prb", "mki", "vei"]
GOOD = "value,price\n90000,100000\n210000,200000\n330000,300000\n"


def run(file: Path, *options: str, estimate: str = "value", sale_price: str = "price") -> Result:
    arguments = ["ratio-study", str(file), "--estimate", estimate, "--sale-price", sale_price, *options]
    return CliRunner().invoke(app, arguments)


def written(folder: Path, text: str | bytes) -> Path:
    file = folder / "sales.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def test_json_has_the_golden_values_of_the_cook_county_sample() -> None:
    file = shared_data("ratio_study/ccao_sample.csv")
    result = run(file, "--json", estimate="estimate", sale_price="sale_price")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert list(found) == ["n", *(key for name in KEYS for key in (name, f"{name}_interval"))]
    assert found["n"] == 979
    assert found["cod"] == pytest.approx(17.814569011968914, rel=1e-12)
    assert found["prb_interval"] == pytest.approx([-0.0140437856, 0.0189953605], abs=5e-11)


def test_groups_stand_beside_the_overall_study() -> None:
    file = shared_data("ratio_study/ccao_sample.csv")
    options = ("--group", "township_name", "--json")
    found = json.loads(run(file, *options, estimate="estimate", sale_price="sale_price").stdout)
    assert list(found) == ["overall", "groups"]
    assert {name: study["n"] for name, study in found["groups"].items()} == {"Evanston": 469, "New Trier": 510}
    assert found["overall"]["n"] == 979


def test_a_table_is_printed_without_json(tmp_path: Path) -> None:
    result = run(written(tmp_path, GOOD))
    assert result.exit_code == 0
    assert "Ratio study of 3 sales" in result.stdout
    assert "1.0500" in result.stdout


def test_a_table_by_group_names_groups_that_look_like_markup_or_are_blank(tmp_path: Path) -> None:
    text = "value,price,town\n9,10,[red]\n8,10,[red]\n10,10,\n"
    result = run(written(tmp_path, text), "--group", "town")
    assert result.exit_code == 0
    assert "[red]" in result.stdout
    assert "(none)" in result.stdout


def test_a_file_from_a_spreadsheet_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    file = written(tmp_path, b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert json.loads(run(file, "--json").stdout)["n"] == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("value,price\n1,2\nabc,4\n", "value is not a number in row 2 (line 3 of the file): 'abc'"),
        ("value,price\n1,2\n3,\n", "price is empty in row 2"),
        ("value,price\n1,0\n3,4\n", "price is not above zero in row 1"),
        ("value,price\n1,2\n-3,4\n", "value is not above zero in row 2"),
        ("value,price\n1,nan\n3,4\n", "price is not a number in row 1"),
        ("value,price\n1,2\n1_000,4\n", "value is not a number in row 2"),
        ("value,price\n1,2\n", "at least 2 sales, not 1 (too_few_sales)"),
        ("value,price\n", "at least 2 sales, not 0 (too_few_sales)"),
        ("worth,price\n1,2\n", "no column 'value'; it has 'worth', 'price'"),
        ("value,value,price\n1,1,2\n", "more than one column 'value'"),
        ("value,price\n1,2\n3,4,5\n", "not a readable CSV file"),
        ("", "not a readable CSV file"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_code_2(tmp_path: Path, text: str, said: str) -> None:
    result = run(written(tmp_path, text), "--json")
    assert result.exit_code == 2
    assert not result.stdout
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_missing_file_and_a_missing_group_column_are_refused(tmp_path: Path) -> None:
    missing = run(tmp_path / "nowhere.csv")
    assert missing.exit_code == 2
    assert "nowhere.csv: no such file" in missing.stderr
    no_group = run(written(tmp_path, GOOD), "--group", "town")
    assert no_group.exit_code == 2
    assert "no column 'town'" in no_group.stderr


def test_the_help_needs_no_numerical_library() -> None:
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from clients.sdk.cli import app\n"
        "result = CliRunner().invoke(app, ['--help'])\n"
        "assert result.exit_code == 0, result.output\n"
        "print('ratio-study' in result.output, sorted({'numpy', 'polars', 'rich.table'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = done.stdout.split(" ", 1)
    assert heavy[0] == "True"
    assert "numpy" not in heavy[1]
    assert "polars" not in heavy[1]


def test_the_installed_command_prints_json_alone_on_stdout(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from clients.sdk.cli import main; main()", "ratio-study"]
    arguments = [str(written(tmp_path, GOOD)), "--estimate", "value", "--sale-price", "price", "--json"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert json.loads(done.stdout)["median"] == pytest.approx(1.05)
    assert not done.stderr
