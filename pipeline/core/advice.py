"""Advice in errors and warnings that only helps at a command line."""

import re

_AT_A_COMMAND_LINE = re.compile(
    r"cohort\.|python -m |tumorflow |dvc |params\.yaml|modalities\.yaml|Name the folder|--\w"
    r"|ask for nifti|evaluate\.|rename the files|fetch the one"
)


def without_commands(text: str) -> str:
    """A text for a person at the page: its first sentence, and of the others those that do not ask
    for a command, a setting or other names of files.
    """
    first, *sentences = re.split(r"(?<=[.!?]) (?=[A-Z])", text)
    return " ".join([first, *(one for one in sentences if not _AT_A_COMMAND_LINE.search(one))])
