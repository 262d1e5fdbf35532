"""Results of the GPU benchmarks: one JSON object a line in a folder, and the table made of them."""

import json
import sys
from pathlib import Path


def record(folder: Path, part: str, name: str, **figures: object) -> None:
    """Append one result to ``folder/results.jsonl`` and print it.

    Parameters
    ----------
    folder : Path
        Made if it does not exist.
    part, name : str
        Section and row of the table.
    **figures
        Anything JSON can hold; floats are rounded to five digits. Lists and dicts stay out of the
        table.
    """
    folder.mkdir(parents=True, exist_ok=True)
    row = {"part": part, "name": name} | {key: _rounded(value) for key, value in figures.items()}
    with (folder / "results.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    print(
        " ".join(
            f"{key}={value}" for key, value in row.items() if not isinstance(value, list | dict)
        ),
        flush=True,
    )


def read(folder: Path) -> list[dict]:
    """All results recorded in a folder, in order."""
    path = folder / "results.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def table(rows: list[dict]) -> str:
    """Markdown tables, one for each part, with the columns its rows have."""
    parts: dict[str, list[dict]] = {}
    for row in rows:
        parts.setdefault(row["part"], []).append(row)
    return "\n\n".join(_one_table(part, members) for part, members in parts.items())


def _one_table(part: str, rows: list[dict]) -> str:
    columns = list(
        dict.fromkeys(
            key
            for row in rows
            for key, value in row.items()
            if key != "part" and not isinstance(value, list | dict)
        )
    )
    lines = [[str(row.get(column, "")) for column in columns] for row in rows]
    cells = [columns, ["---"] * len(columns), *lines]
    return f"### {part}\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in cells)


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {key: _rounded(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(member) for member in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    text = table(read(folder))
    (folder / "table.md").write_text(text + "\n")
    print(text)
