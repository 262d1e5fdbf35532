"""What report and model card say of training cases whose labels a reader corrected."""

from ..core.catalogue import Catalogue
from ..core.corrected import provenance_of
from ..core.folds import Split


def sentence(catalogue: Catalogue, split: Split) -> str:
    """How many corrected cases are trained on, from which networks, and which are not; empty
    without such cases.
    """
    part = split.part_of
    train = [entry for entry in catalogue.cases if part.get(entry.case) == "train"]
    networks = provenance_of(train, catalogue.corrections)
    left_out = [case for case in catalogue.corrections if case not in part]
    if not networks and not left_out:
        return ""
    count = sum(networks.values())
    text = f"{count} of {len(train)} training cases have labels that a reader corrected"
    if named := [f"{name} ({number})" for name, number in networks.items() if name]:
        text += f", predicted by network {', '.join(named)}"
    if left_out:
        text += f"; not trained on, since their patient is held out: {', '.join(left_out)}"
    return text
