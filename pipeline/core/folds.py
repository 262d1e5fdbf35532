"""Training, validation and test parts: stratified by patient, no patient in two."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from .catalogue import Catalogue
from .errors import InputError
from .strict import Strict


class Split(Strict):
    """The sorted cases of each part of a cohort, the cases outside of test in `folds` for
    cross-validation, and the patient of every case.

    Without cases in `val`, a network is trained for each fold on the other folds.
    """

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    folds: tuple[tuple[str, ...], ...]
    patients: dict[str, str]

    @property
    def members(self) -> tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]:
        """Cases that each network is trained on, and those that it is validated on."""
        if self.val:
            return ((self.train, self.val),)
        return tuple((self._without_patients_of(fold), fold) for fold in self.folds)

    def _without_patients_of(self, fold: Sequence[str]) -> tuple[str, ...]:
        """Training cases of patients that have no case in a fold."""
        held_out = {self.patients[case] for case in fold}
        return tuple(case for case in self.train if self.patients[case] not in held_out)

    @property
    def part_of(self) -> dict[str, str]:
        """Case to the name of its part; a case in none is absent."""
        return {case: name for name in ("train", "val", "test") for case in getattr(self, name)}

    def check(self, where: str) -> None:
        """Reject a split that leaks: InputError if a patient has cases in two of train, val and
        test, in two folds, or in a fold and test, or a case has no patient.
        """
        self._check_parts(where, {"train": self.train, "val": self.val, "test": self.test})
        folds = {f"fold {number}": fold for number, fold in enumerate(self.folds)}
        self._check_parts(where, {"test": self.test} | folds)

    def _check_parts(self, where: str, parts: Mapping[str, Sequence[str]]) -> None:
        seen: dict[str, tuple[str, str]] = {}
        for part, cases in parts.items():
            for case in cases:
                if case not in self.patients:
                    raise InputError(
                        f"{where}: case {case} of {part} has no patient. Run `dvc repro split`."
                    )
                other_part, other_case = seen.setdefault(self.patients[case], (part, case))
                if other_part != part or cases.count(case) > 1:
                    raise InputError(
                        f"{where}: patient {self.patients[case]} is in {other_part} (case"
                        f" {other_case}) and in {part} (case {case}). Scores on such a split are"
                        " worthless; run `dvc repro split`."
                    )

    def check_leakage(self, catalogue: Catalogue) -> None:
        """Check that no examination, whatever its id, is in two of train, val and test.

        Raises
        ------
        InputError
            Names every pair of cases in two parts that share a patient or the voxels of an image,
            or look alike.
        """
        part = self.part_of
        sharing = defaultdict(list)
        for entry in catalogue.cases:
            contents = {file.content_sha256[:16] for file in entry.images.values()}
            for sign in (f"patient {entry.patient}", *(f"the voxels {sha}" for sha in contents)):
                sharing[sign].append(entry.case)
        pairs = [
            (first, case, f"share {sign}")
            for sign, (first, *others) in sharing.items()
            for case in others
        ]
        pairs += [
            (one, other, f"look like one examination (similarity {similarity:.2f})")
            for one, other, similarity in catalogue.alike
        ]
        leaks = sorted(
            f"{one} in {part[one]} and {other} in {part[other]} {why}"
            for one, other, why in pairs
            if one in part and other in part and part[one] != part[other]
        )
        if leaks:
            raise InputError(
                "\n".join(leaks) + "\nScores on such a split are worthless: remove one case of each"
                " pair, or empty split.test_folds to draw the parts."
            )


def strata(catalogue: Catalogue, persons: Mapping[str, str]) -> dict[str, tuple]:
    """Description of each person for `stratify`, by the first case: which innermost regions are
    present, then the volume of all labels.

    Parameters
    ----------
    catalogue : Catalogue
    persons : mapping of str to str
        As `Catalogue.persons` gives them.
    """
    cohort = catalogue.cohort
    outermost = [region for region, outer in cohort.around.items() if outer is None]
    return {
        persons[entry.patient]: (
            *(entry.region_ml(cohort, region) > 0 for region in cohort.innermost),
            sum(entry.region_ml(cohort, region) for region in outermost),
        )
        for entry in sorted(catalogue.cases, key=lambda entry: entry.case, reverse=True)
    }


def stratify(
    strata: Mapping[str, tuple], parts: Sequence[float], rng: np.random.Generator
) -> list[list[str]]:
    """Assign patients to parts of given shares, stratified by their description.

    Parameters
    ----------
    strata : mapping of str to tuple
        Patient to a sortable description (such as presence of ET, then tumour volume): neighbours
        in its order are similar.
    parts : sequence of float
        Shares, summing to 1. Part sizes are the shares of the patients, rounded by largest
        remainder; a part with a share above 0 gets at least one patient if there are enough.
    rng : numpy.random.Generator
        Every patient has the same chances.

    Returns
    -------
    list of list of str
        Patients of each part, sorted.
    """
    left = sorted(strata, key=lambda patient: (strata[patient], patient))
    assigned = []
    for size in _sizes(len(left), parts):
        drawn = _drawn(left, size, rng)
        assigned.append(sorted(drawn))
        left = [patient for patient in left if patient not in drawn]
    return assigned


def _drawn(ordered: Sequence[str], size: int, rng: np.random.Generator) -> set[str]:
    """Draw `size` patients, each with the same probability, spread evenly over their order.

    The ordered pivotal method (Deville and Tillé, Biometrika 85, 1998): neighbours compete for
    their chances until one is drawn or out, so the number drawn from the first m is m * size / n,
    rounded up or down. Chances are counted in n-ths, in whole numbers.
    """
    drawn: set[str] = set()
    standing, chance, sure = "", 0, len(ordered)
    for patient in ordered:
        total = chance + size
        if total < sure:  # one takes the chances of both, the other is out
            patient_stays = rng.random() * total >= chance
            standing, chance = (patient if patient_stays else standing), total
        else:  # one is in, the other keeps what is left
            standing_is_in = rng.random() * (2 * sure - total) < sure - size
            drawn.add(standing if standing_is_in else patient)
            standing, chance = (patient if standing_is_in else standing), total - sure
    return drawn


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
