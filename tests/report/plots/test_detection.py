from pipeline.metrics.detection import detection
from pipeline.report.plots.detection import detection_plot
from pipeline.report.plots.palette import region_colours, rgb


def lesion(region, kind, volume_ml, found=0):
    return {"name": region, "kind": kind, "volume_ml": volume_ml, "found": found}


def test_every_region_is_drawn_in_its_colour(schema, pixels, near):
    rows = [
        lesion(region, *what)
        for region in schema.regions
        for what in (("reference", 0.5, 1), ("false_positive", 20))
    ]
    picture = pixels(detection_plot(detection(rows, schema.regions, 3), schema, 60)[0])
    left, right = picture[:, :330], picture[:, 330:]
    assert all(
        near(half, rgb(colour)) > 20
        for half in (left, right)
        for colour in region_colours(schema).values()
    )


def test_a_cohort_without_a_lesion_is_drawn_without_a_mark(schema, pixels, near):
    picture = pixels(detection_plot(detection([], schema.regions, 3), schema, 60)[0])
    assert all(
        near(picture[:, 330:], rgb(colour)) == 0 for colour in region_colours(schema).values()
    )
