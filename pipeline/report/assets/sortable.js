// Makes every heading of a sortable table a button, and filters its rows by the field above it.
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
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
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
