"""Values of `cohort.source`, known without loading the sources."""

NAMES = (
    "phantom",
    "brats",
    "brats-gli2024",
    "brats-men",
    "brats-met",
    "brats-met2025",
    "brats-ssa",
    "brats-ped",
    "brats-ped2023",
    "brats-menrt",
    "brats2012",
    "brats2013",
    "msd",
    "cheng",
    "lgg",
    "dicom",
    "folder",
)
