import subprocess
import sys
from pathlib import Path

import pytest

from chassis.settings import REPOSITORY

LIMIT_BYTES = 512 * 1024 * 1024
READ = """
import sys
from pathlib import Path
from tests.support.deliveries import file_source, file_table
numbers = dict.fromkeys(("prop_id", "year", "use"), "integer") | dict.fromkeys(("land", "total"), "decimal")
table = file_table("roll.csv", numbers | {"situs": "text"})
print(sum(rows.height for rows in file_source(Path(sys.argv[1]), table).read(table)))
print(next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_five_million_rows_are_read_in_little_memory(tmp_path: Path) -> None:
    with (tmp_path / "roll.csv").open("w") as file:
        file.write("prop_id,year,situs,use,land,total\n")
        for block in range(50):
            rows = range(block * 100_000, (block + 1) * 100_000)
            file.writelines(
                f'{n},2024,"{n} OAK ST, APT {n % 9}",{n % 99},{n % 90_000}.00,{n % 440_000}\n' for n in rows
            )
    command = [sys.executable, "-c", READ, str(tmp_path)]
    found = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    rows_read, peak_kib = map(int, found.stdout.split())
    assert rows_read == 5_000_000
    assert peak_kib * 1024 < LIMIT_BYTES
