"""Who is trained on and who is tested on: patients dealt into parts so that none is in two."""

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.domain.errors import InputError
from pipeline.domain.strict import Strict


class Split(Strict):
    """The parts of a cohort.

    Attributes
    ----------
    train, val, test : tuple of str
        Cases of each part, sorted.
    folds : tuple of tuple of str
        The cases outside of test, dealt into k parts for cross-validation, each sorted.
    patients : dict of str to str
        Patient of every case.
    """

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    folds: tuple[tuple[str, ...], ...]
    patients: dict[str, str]

    def check(self, where: str) -> None:
        """Refuse a split that leaks.

        Raises
        ------
        InputError
            If a patient has cases in two of train, val and test, or in two folds, or a case has no patient.
        """
        self._check_parts(where, {"train": self.train, "val": self.val, "test": self.test})
        self._check_parts(where, {f"fold {number}": fold for number, fold in enumerate(self.folds)})

    def _check_parts(self, where: str, parts: Mapping[str, Sequence[str]]) -> None:
        seen: dict[str, tuple[str, str]] = {}
        for part, cases in parts.items():
            for case in cases:
                if case not in self.patients:
                    raise InputError(f"{where}: case {case} of {part} has no patient. Run `dvc repro split`.")
                other_part, other_case = seen.setdefault(self.patients[case], (part, case))
                if other_part != part or cases.count(case) > 1:
                    raise InputError(
                        f"{where}: patient {self.patients[case]} stands in {other_part} (case {other_case}) and in {part} (case {case}). "
                        "Scores on such a split are worthless; run `dvc repro split`."
                    )


def deal(strata: Mapping[str, tuple], parts: Sequence[float], rng: np.random.Generator) -> list[list[str]]:
    """Deal patients into parts of given shares, each with its share of every stratum.

    Parameters
    ----------
    strata : mapping of str to tuple
        Patient to a sortable description (such as presence of ET, then tumour volume): patients who are
        neighbours in its order are alike.
    parts : sequence of float
        Shares, summing to 1. Part sizes are the shares of the patients, rounded by largest remainder;
        a part with a share above 0 gets at least one patient if there are enough.
    rng : numpy.random.Generator
        Decides who of each group of neighbours goes where.

    Returns
    -------
    list of list of str
        Patients of each part, sorted.
    """
    ordered = sorted(strata, key=lambda patient: (strata[patient], patient))
    sizes = _sizes(len(ordered), parts)
    # each part draws one place from each of as many equal stretches of the order as it has patients
    places = sorted(((number + rng.random()) / size, part) for part, size in enumerate(sizes) for number in range(size))
    dealt: list[list[str]] = [[] for _ in parts]
    for patient, (_, part) in zip(ordered, places, strict=True):
        dealt[part].append(patient)
    return [sorted(part) for part in dealt]


def _sizes(count: int, shares: Sequence[float]) -> list[int]:
    exact = [count * share for share in shares]
    sizes = [int(value) for value in exact]
    by_remainder = sorted(range(len(shares)), key=lambda part: (sizes[part] - exact[part], part))
    for part in by_remainder[: count - sum(sizes)]:
        sizes[part] += 1
    for part, share in enumerate(shares):
        if share > 0 and sizes[part] == 0 and max(sizes) > 1:
            sizes[sizes.index(max(sizes))] -= 1
            sizes[part] = 1
    return sizes
