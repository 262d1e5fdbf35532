// Makes every heading of a sortable table a button, filters its rows by the field above it, and saves them as CSV.
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
  // The rows shown, in their order, numbers with all their digits.
  const csv = () => {
    const groups = [...box.querySelectorAll(".groups > *")].flatMap(cell => Array(cell.colSpan).fill(cell.textContent));
    const titles = heads.map((head, place) => `${groups[place]} ${head.textContent}`.trim());
    const lines = [...body.rows].filter(row => !row.hidden).map(row => [...row.cells].map(cell => cell.dataset.value ?? cell.textContent));
    const field = text => /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    return [titles, ...lines].map(line => line.map(field).join(",") + "\r\n").join("");
  };
  box.querySelector(".download").addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([csv()], {type: "text/csv"}));
    link.download = "cases.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  });
  words.addEventListener("input", narrow);
  narrow();
  filter.hidden = false;
}
