// Which series is which modality: pictures, facts, and a choice for each.
import {byId, made, say} from "./dom.js";
import {modalityWords} from "./words.js";

const form = byId("series"), modalities = byId("case").dataset.modalities.split(" "), problem = byId("series-problem");
const LEAD = {
  busy: "Recognised by their headers or names. The choice can be changed when the network is done.",
  done: "Recognised by their headers or names. If one is wrong, choose another and segment again.",
};
const CORRECTED = " The saved correction then stays in the folder of corrected cases, but belongs to the segmentation before.";
const selects = new Map();
let series = [], shownFor = "", chosenFor = "";

const picture = (id, one) => one?.thumbnail
  ? made("img", {src: `/api/cases/${id}/thumbnails/${one.thumbnail}`, alt: `Middle slices of ${one.title}`, className: "thumbnail"})
  : made("p", {className: "thumbnail none"}, one ? "No picture: this series cannot be drawn." : "No series is chosen.");

const showChoice = (id, select, figure) => {
  const one = series.find(({key}) => key === select.value);
  figure.replaceChildren(picture(id, one), made("p", {className: "faint"}, one?.facts ?? ""));
  check();
};

const card = (id, name) => {
  const select = made("select", {id: `series-${name}`, name, autocomplete: "off"}, new Option("not chosen", ""));
  select.append(...series.map(one => new Option(one.title, one.key)));
  const figure = made("div");
  select.onchange = () => showChoice(id, select, figure);
  selects.set(name, {select, show: () => showChoice(id, select, figure)});
  const title = made("label", {htmlFor: select.id}, made("b", {}, name), ` ${modalityWords(name)}`);
  return made("div", {className: "modality"}, title, select, figure);
};

// What is wrong with the choice, in words, and whether it forbids a start.
const trouble = () => {
  const chosen = [...selects].map(([name, {select}]) => [name, select.value]), missing = chosen.filter(([, key]) => !key).map(([name]) => name);
  if (missing.length === modalities.length) return ["Choose the series of each modality.", true];
  for (const [name, key] of chosen) {
    const same = chosen.filter(([, other]) => key && other === key).map(([other]) => other);
    if (same.length > 1) return [`One series is chosen for ${same.join(" and ")}. Choose the series of each.`, true];
  }
  return [missing.length ? `No series is chosen for ${missing.join(", ")}.` : "", false];
};

const check = () => {
  const [words, forbids] = trouble();
  say(problem, words);
  problem.className = forbids ? "problem" : "faint";
  byId("start").disabled = forbids;
};

export const wanted = () => ({
  series: Object.fromEntries([...selects].map(([name, {select}]) => [name, select.value]).filter(([, key]) => key)), native: byId("native").checked,
});

/** Shows the series of a case; what a person is choosing is left alone unless the case itself changed. */
export const showSeries = state => {
  byId("series-section").hidden = !state.series.length;
  if (!state.series.length) return;
  const busy = ["waiting", "running"].includes(state.status);
  say(byId("start"), state.status === "unclear" ? "Start" : "Segment again");
  byId("start").parentElement.hidden = busy;
  const lead = state.status === "unclear" ? state.message : LEAD[busy ? "busy" : state.status] ?? LEAD.done;
  say(byId("series-lead"), lead + (state.is_corrected ? CORRECTED : ""));
  const keys = state.series.map(({key}) => key).join("\n");
  if (keys !== shownFor) {
    [shownFor, series] = [keys, state.series];
    byId("modalities").replaceChildren(...modalities.map(name => card(state.id, name)));
    byId("others").hidden = series.length <= modalities.length;
    say(byId("others").firstElementChild, `All ${series.length} series found`);
    byId("found").replaceChildren(...series.map(one =>
      made("li", {}, picture(state.id, one), made("b", {}, one.title), made("p", {className: "faint"}, one.facts))));
  }
  const chosen = JSON.stringify([state.chosen, state.native]);
  if (chosen !== chosenFor) {
    chosenFor = chosen;
    byId("native").checked = state.native;
    for (const [name, {select, show}] of selects) {
      select.value = state.chosen[name] ?? "";
      show();
    }
  }
  for (const control of form.elements) control.disabled = busy;
  byId("start").disabled = busy || trouble()[1];
};

/** Calls `start` with the choice when a person asks for it; its error is shown. */
export const onStart = start => form.addEventListener("submit", async event => {
  event.preventDefault();
  try {
    await start(wanted());
  } catch (error) {
    say(problem, error.message);
    problem.className = "problem";
  }
});
