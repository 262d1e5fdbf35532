"""One fuzzer, with atheris: `python -m tests.fuzz.target READER [libFuzzer options]`."""

import logging
import os
import sys
import tempfile
import warnings
from pathlib import Path

import atheris

os.environ["TQDM_DISABLE"] = "1"
with atheris.instrument_imports(
    include=["pipeline.formats", "pipeline.cohorts", "pipeline.exchange", "nibabel", "pydicom"]
):
    from tests.fuzz.readers import READERS, run, seeds


def main(name: str, options: list[str]) -> None:
    """Fuzz until libFuzzer has had enough; it saves what crashes, exhausts memory or hangs."""
    logging.disable()
    warnings.simplefilter("ignore")
    reader = READERS[name]
    with tempfile.TemporaryDirectory(
        dir="/dev/shm" if os.path.isdir("/dev/shm") else None
    ) as folder:
        corpus, place = Path(folder) / "corpus", Path(folder) / "input"
        corpus.mkdir()
        place.mkdir()
        for number, seed in enumerate(seeds(reader)):
            (corpus / f"seed-{number}").write_bytes(seed)

        def one_input(data: bytes) -> None:
            run(reader, data, place)

        atheris.Setup([sys.argv[0], str(corpus), *options], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
