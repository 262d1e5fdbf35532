"""A table that a reader can sort and filter; without scripts it is a table like any other."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from .html import Html, element, heading, join

SCRIPT = """
for (const box of document.querySelectorAll(".sortable")) {
  const body = box.querySelector("tbody"), rows = [...body.rows], filter = box.querySelector(".filter");
  const heads = [...box.querySelectorAll("th[aria-sort]")], words = box.querySelector("input"), count = box.querySelector("output");
  const texts = rows.map(row => row.textContent.toLowerCase()), collator = new Intl.Collator(undefined, {numeric: true});
  const value = (row, place) => {
    const given = row.cells[place].dataset.value;
    return given === undefined ? row.cells[place].textContent : given === "" ? null : Number(given);
  };
  const compare = (one, other) => typeof one === "number" ? one - other : collator.compare(one, other);
  const sort = (head, place) => {
    const down = head.getAttribute("aria-sort") === "ascending";
    const keys = new Map(rows.map(row => [row, value(row, place)]));
    const order = (a, b) => {
      const one = keys.get(a), other = keys.get(b);
      if (one === null || other === null) return (one === null) - (other === null);
      return down ? compare(other, one) : compare(one, other);
    };
    for (const each of heads) each.setAttribute("aria-sort", each === head ? (down ? "descending" : "ascending") : "none");
    body.append(...[...rows].sort(order));
  };
  heads.forEach((head, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sort(head, place));
  });
  const narrow = () => {
    const wanted = words.value.toLowerCase().split(/\\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, place) => {
      row.hidden = !wanted.every(word => texts[place].includes(word));
      shown += !row.hidden;
    });
    count.textContent = `${shown} of ${rows.length} shown`;
  };
  words.addEventListener("input", narrow);
  narrow();
  filter.hidden = false;
}
"""
"""Makes a button of every heading and a filter of the field above every table of `sortable_table`.
"""


@dataclass(frozen=True)
class Column:
    """A column: its title, and the group of neighbours that it belongs to (``""`` for none)."""

    title: str
    group: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell.

    Attributes
    ----------
    text : str or Html
        What is read.
    value : float or None
        What is sorted by, NaN for the last place in either direction; None to sort by the text.
    share : float or None
        How much of the cell its background fills, 0 to 1.
    """

    text: str
    value: float | None = None
    share: float | None = None


def sortable_table(
    columns: Sequence[Column], rows: Iterable[Sequence[Cell]], caption: str, sorted_by: int
) -> Html:
    """A table under a field that filters it; needs `SCRIPT` once, anywhere behind it.

    Parameters
    ----------
    columns : sequence of Column
        Neighbours of one group get a common heading.
    rows : iterable of sequences of Cell
        The first cell heads its row.
    caption : str
        What the table says, in a line.
    sorted_by : int
        The column by which the rows ascend already.

    Returns
    -------
    Html
    """
    field = element(
        "label",
        "Filter: ",
        element("input", type="search", placeholder="part of a name", autocomplete="off"),
    )
    body = element("tbody", *(_row(cells) for cells in rows))
    content = element("table", heading(caption), _head(columns, sorted_by), body)
    return element(
        "div",
        element("p", field, " ", element("output", aria_live="polite"), class_="filter", hidden=""),
        element(
            "div", content, class_="scroll tall", tabindex="0", role="region", aria_label=caption
        ),
        class_="sortable",
    )


def _head(columns: Sequence[Column], sorted_by: int) -> Html:
    orders = ["ascending" if place == sorted_by else "none" for place in range(len(columns))]
    titles = [
        element("th", column.title, scope="col", aria_sort=order)
        for column, order in zip(columns, orders, strict=True)
    ]
    if not any(column.group for column in columns):
        return element("thead", element("tr", *titles))
    groups = [
        (name, len(list(members)))
        for name, members in groupby(columns, lambda column: column.group)
    ]
    heads = [
        (
            element("th", name, scope="colgroup", colspan=str(size))
            if name
            else element("td", colspan=str(size))
        )
        for name, size in groups
    ]
    return element("thead", element("tr", *heads, class_="groups"), element("tr", *titles))


def _row(cells: Sequence[Cell]) -> Html:
    first, *rest = cells
    return element("tr", element("th", first.text, scope="row"), *map(_cell, rest))


def _cell(cell: Cell) -> Html:
    sorting = (
        {}
        if cell.value is None
        else {"data_value": repr(cell.value) if cell.value == cell.value else ""}
    )
    shown = {} if cell.share is None else {"class_": "bar", "style": f"--share:{cell.share:.3f}"}
    return element("td", join(cell.text), **sorting, **shown)
