import {ask, makeInto} from "./making.js";
import {openScene} from "./scene.js";

const root = document.getElementById("made"), table = document.getElementById("regions");
const DICE_DIGITS = 3, ML_DIGITS = 1;

const number = (value, digits) => value === null || value === undefined ? "–" : value.toFixed(digits);

const cell = (tag, text, scope) => {
  const made = document.createElement(tag);
  made.textContent = text;
  if (scope) made.scope = scope;
  return made;
};

const row = cells => {
  const made = document.createElement("tr");
  made.append(...cells);
  return made;
};

const fill = ({models, regions, notes}) => {
  const all = Object.entries(regions), referenced = all.some(([, one]) => "reference_ml" in one);
  const heads = ["Region", ...models.map(name => `${name} (ml)`), "Dice"];
  if (referenced) heads.push("Reference (ml)", ...models.map(name => `Dice of ${name}`));
  table.tHead.replaceChildren(row(heads.map(text => cell("th", text, "col"))));
  table.tBodies[0].replaceChildren(...all.map(([name, one]) => {
    const values = [...one.volumes_ml.map(value => number(value, ML_DIGITS)), number(one.dice, DICE_DIGITS)];
    if (referenced) values.push(number(one.reference_ml, ML_DIGITS), ...one.reference_dice.map(value => number(value, DICE_DIGITS)));
    return row([cell("th", name, "row"), ...values.map(value => cell("td", value))]);
  }));
  document.getElementById("notes").replaceChildren(...notes.map(text => cell("li", text)));
};

if (root) {
  const body = JSON.stringify({case: root.dataset.case, models: root.dataset.models.split(",")});
  const start = () => ask("/api/comparisons", {method: "POST", body, headers: {"Content-Type": "application/json"}});
  makeInto(root, start, ({key}) => ask(`/api/comparisons/${key}`), ({scene, about}) => {
    fill(about);
    return openScene(root.querySelector(".viewer"), scene);
  });
}
