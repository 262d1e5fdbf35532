// The panel beside the pictures: quality, volumes, downloads, and what made them.
import {byId, made, say} from "./dom.js";
import {cautions, flagged} from "./quality.js";
import {ml, regionWords, size} from "./words.js";

const showQuality = ({quality, warnings}) => {
  const [flag, ...reasons] = flagged(quality), meaning = made("p", {}, quality.meaning);
  if (quality.is_input_doubtful) meaning.append(" ", made("a", {href: "#series-title"}, "Choose the series"));
  const said = quality.is_input_doubtful ? [...reasons, meaning] : [meaning, ...reasons];
  byId("quality").replaceChildren(flag, ...said, ...cautions(warnings));
};

const extent = ({lesions, long_axis_mm: long, short_axis_mm: short}) => {
  if (!lesions) return "";
  const largest = long === null ? "" : `${long.toFixed(0)} × ${(short ?? 0).toFixed(0)} mm`;
  return lesions === 1 ? `1 lesion, ${largest}` : `${lesions} lesions, the largest ${largest}`;
};

// The colours of the labels of a region side by side: one alone would be taken for its label.
const swatch = colours => {
  const patch = made("i"), share = 100 / colours.length;
  patch.style.background = `linear-gradient(90deg, ${colours.map((one, place) => `${one} ${place * share}% ${(place + 1) * share}%`).join(", ")})`;
  return patch;
};

const row = one => {
  const likely = one.likely_ml && one.volume_ml > 0 ? one.likely_ml.map(ml).join(" to ") : "–";
  const name = made("th", {scope: "row"}, swatch(one.colours ?? [one.colour]), one.name, made("small", {}, regionWords(one.name)), made("small", {}, extent(one)));
  return made("tr", {}, name, made("td", {}, made("b", {}, one.volume_ml > 0 ? ml(one.volume_ml) : "none")), made("td", {}, likely));
};

const volumes = ({regions, ranges}) => {
  byId("volumes").replaceChildren(...regions.map(row));
  say(byId("volumes-note"), ranges);
};

/** Fills the list of downloads, which grows while the server prepares them. */
export const showDownloads = ({id, downloads: {files, lacking, is_complete: whole}}) => {
  const address = name => `/api/cases/${id}/files/${encodeURIComponent(name)}`;
  const link = (name, title) => made("a", {href: address(name), download: ""}, title);
  byId("downloads").replaceChildren(
    ...files.map(({name, title, bytes}) => made("li", {}, link(name, title), made("small", {}, size(bytes)))),
    ...lacking.map(({title, reason}) => made("li", {className: "lacking"}, title, made("small", {}, reason))));
  byId("all").replaceChildren(...whole ? [link("all.zip", "All files as one zip")] : []);
};

const madeBy = ({made_by: pairs}) =>
  byId("made").replaceChildren(...pairs.flatMap(([term, text]) => [made("dt", {}, term), made("dd", {}, text)]));

/** Fills the panel with the result of a case that is done. */
export const showResult = state => {
  showQuality(state.summary);
  volumes(state.summary);
  showDownloads(state);
  madeBy(state.summary);
};
