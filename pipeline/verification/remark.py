"""What a case shows by itself that its user should know."""

from typing import NamedTuple


class Remark(NamedTuple):
    """A doubt about the input of a case.

    Attributes
    ----------
    finding : str
        In words that need no number, such as "t1n and t1c seem exchanged".
    measured : str
        By what; may be empty.
    remedy : str
        What to do with the files, in sentences.
    """

    finding: str
    measured: str
    remedy: str

    @property
    def sentence(self) -> str:
        """The finding alone."""
        return f"{self.finding[0].upper()}{self.finding[1:]}."

    def about(self, case: str) -> str:
        """All of it as the warning about a case."""
        measured = f" ({self.measured})" if self.measured else ""
        return f"{case}: {self.finding}{measured}. {self.remedy}"
