from pipeline.report.plots.palette import label_colours, region_colours, rgb


def test_a_region_has_the_colour_of_the_label_that_it_adds(schema):
    labels, regions = label_colours(schema), region_colours(schema)
    assert regions == {"WT": labels["edema"], "TC": labels["necrotic"], "ET": labels["enhancing"]}


def test_labels_differ_in_colour(schema):
    assert len(set(label_colours(schema).values())) == len(schema.labels)


def test_a_colour_is_three_bytes():
    assert rgb("#CC79A7") == (204, 121, 167)
