from pipeline.core.layout import counted


def test_a_noun_agrees_with_its_number():
    assert [counted(size, "case") for size in (0, 1, 2)] == ["0 cases", "1 case", "2 cases"]
