import {made} from "./dom.js";
import {ask, makeInto} from "./making.js";
import {cautions, flagged} from "./quality.js";
import {openScene} from "./scene.js";

const root = document.getElementById("made"), table = document.getElementById("regions");
const DICE_DIGITS = 3, ML_DIGITS = 1;

const number = (value, digits) => value === null || value === undefined ? "–" : value.toFixed(digits);

const cell = (tag, text, scope) => made(tag, scope ? {scope} : {}, text);

const row = (...cells) => made("tr", {}, ...cells);

const measure = (title, values, digits) => row(cell("th", title, "row"), ...values.map(value => cell("td", number(value, digits))));

// What a model says of the case by itself.
const said = (name, {warnings, ...about}) => [made("h3", {}, name), ...flagged(about), ...cautions(warnings)];

// Of each region the Dice between both, and below it the volumes and what a reference says.
const fill = ({models, order, regions, notes, quality}) => {
  const all = order.map(name => [name, regions[name]]), referenced = all.some(([, one]) => "reference_ml" in one);
  const columns = [...models, ...(referenced ? ["Ref."] : [])];
  table.tHead.replaceChildren(row(cell("td", ""), ...columns.map(name => cell("th", name, "col"))));
  const groups = all.map(([name, one]) => {
    const group = document.createElement("tbody"), head = cell("th", `${name}: Dice between both ${number(one.dice, DICE_DIGITS)}`, "rowgroup"), first = row(head);
    head.colSpan = columns.length + 1;
    first.className = "region";
    group.append(first, measure("Volume (ml)", [...one.volumes_ml, ...(referenced ? [one.reference_ml] : [])], ML_DIGITS));
    if (referenced) {
      const last = measure("Dice", one.reference_dice, DICE_DIGITS);
      last.append(cell("td", ""));
      group.append(last);
    }
    return group;
  });
  if (referenced) table.caption.firstChild.textContent += "; Dice against the reference (Ref.)";
  for (const body of [...table.tBodies]) body.remove();
  table.append(...groups);
  document.getElementById("notes").replaceChildren(...notes.map(text => cell("li", text)));
  document.getElementById("quality").replaceChildren(...quality.flatMap((one, place) => said(models[place], one)));
};

if (root) {
  const body = JSON.stringify({case: root.dataset.case, models: root.dataset.models.split(",")});
  const start = () => ask("/api/comparisons", {method: "POST", body, headers: {"Content-Type": "application/json"}});
  makeInto(root, start, ({key}) => ask(`/api/comparisons/${key}`), ({scene, about}) => {
    fill(about);
    return openScene(root.querySelector(".viewer"), scene);
  });
}
