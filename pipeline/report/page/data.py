"""What the cohort holds, and what the verification of it found."""

from ...verification.thumbnail_sheet import cut
from ..plots.planes import convention
from .html import Html, element, join, picture
from .run import Run
from .text import count, facts, plain, small

_THUMBNAILS = 300


def data(run: Run) -> Html:
    """The facts of the cohort."""
    verify = run.verify
    named = lambda values, ending="": ", ".join(
        f"{region} {values[region]:g}{ending}" for region in run.schema.regions
    )
    found = {
        "Cohort": verify["cohort"],
        "Verified": (
            f"{count(verify['cases'], 'case')} of {count(verify['patients'], 'patient')},"
            f" {count(verify['files'], 'file')}"
        ),
        "Parts": (
            f"train {len(run.split.train)}, val {len(run.split.val)}, test {len(run.split.test)}"
            " cases"
        ),
        "Modalities": ", ".join(run.schema.modalities),
        "Labels": ", ".join(f"{name} = {value}" for name, value in run.schema.labels.items()),
        "Shapes (voxels)": plain(verify["shapes"]),
        "Voxel sizes (mm)": plain(verify["spacings_mm"]),
        "Orientations": plain(verify["orientations"]),
        "Cases without a region": named(verify["without"]),
        "Mean volume in the reference": named(verify["mean_ml"], " ml"),
        "Terms": run.catalogue.licence,
    }
    return facts(found.items(), "What the verification of every file and voxel found.")


def verification(run: Run) -> Html:
    """What was checked, what was found, and every case at a glance; those with a finding first."""
    warnings = run.verify["warnings"]
    found = (
        [element("ul", *(element("li", warning) for warning in warnings))]
        if warnings
        else [element("p", "Nothing to warn of.")]
    )
    read = (
        f"{count(run.verify['files'], 'file')} read to the last byte and voxel. What does not hold"
        " is refused, or is a finding:"
    )
    return join(
        element("p", read),
        element("ul", *(element("li", check) for check in run.verify["checks"])),
        element("h3", f"{count(len(warnings), 'finding')} to look at"),
        *found,
        element("h3", "Every case at a glance"),
        *_glances(run),
    )


def _glances(run: Run) -> list[Html]:
    warnings, names = run.verify["warnings"], [entry.case for entry in run.catalogue.cases]
    remarked = [
        name for name in names if any(warning.startswith(f"{name}:") for warning in warnings)
    ]
    shown = [*remarked, *(name for name in names if name not in set(remarked))][:_THUMBNAILS]
    left_out = (
        f" {count(len(names) - len(shown), 'more case')} in metrics/thumbnails.png."
        if len(shown) < len(names)
        else ""
    )
    part = {case: name for name in ("train", "val", "test") for case in getattr(run.split, name)}
    places = {name: number for number, name in enumerate(names)}
    pictures = cut(run.thumbnails, [places[name] for name in shown])
    glances = [
        _glance(run, name, part.get(name, "in no part"), picture)
        for name, picture in zip(shown, pictures, strict=True)
    ]
    intro = (
        "The axial slice with the most tumour, all labels outlined together."
        f" {convention(run.schema)}{left_out}"
    )
    return [element("p", intro, class_="faint"), element("div", *glances, class_="glances")]


def _glance(run: Run, name: str, part: str, thumbnail: bytes) -> Html:
    entry = run.catalogue.entry(name)
    volumes = ", ".join(
        f"{region} {entry.region_ml(run.schema, region):.1f} ml"
        for region in run.schema.regions
        if entry.label_voxels
    )
    caption = join(element("b", name), f" {part}", element("br"), small(volumes))
    return picture(thumbnail, "png", f"Case {name}, {part}: {volumes}", caption, "film")
