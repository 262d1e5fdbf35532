// The panel beside the pictures: quality, volumes, downloads, and what made them.
import {byId, made, say} from "./dom.js";
import {count, flagWords, ml, regionWords, size} from "./words.js";

const AT_ONCE = 2; // reasons, the strongest first

const items = texts => texts.map(text => made("li", {}, text));

const quality = ({quality: {flag, meaning, reasons}, warnings, missing_modalities: missing}) => {
  byId("quality").replaceChildren(made("span", {className: `flag ${flag}`}, flagWords(flag)));
  say(byId("quality-meaning"), meaning);
  const more = reasons.slice(AT_ONCE);
  byId("reasons").replaceChildren(...items(reasons.slice(0, AT_ONCE)));
  byId("more-reasons").hidden = !more.length;
  say(byId("more-reasons").firstElementChild, count(more.length, "more reason"));
  byId("more-reasons").lastElementChild.replaceChildren(...items(more));
  const cautions = missing.length ? [`Segmented without ${missing.join(", ")}, which the upload lacks.`, ...warnings] : warnings;
  byId("warnings").replaceChildren(...cautions.map(text => made("p", {className: "caution"}, text)));
};

const extent = ({lesions, long_axis_mm: long, short_axis_mm: short}) => {
  if (!lesions) return "";
  const largest = long === null ? "" : `${long.toFixed(0)} × ${(short ?? 0).toFixed(0)} mm`;
  return lesions === 1 ? `1 lesion, ${largest}` : `${lesions} lesions, the largest ${largest}`;
};

const row = one => {
  const patch = made("i");
  patch.style.background = one.colour;
  const likely = one.likely_ml && one.volume_ml > 0 ? one.likely_ml.map(ml).join(" to ") : "–";
  const name = made("th", {scope: "row"}, patch, one.name, made("small", {}, regionWords(one.name)), made("small", {}, extent(one)));
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
  quality(state.summary);
  volumes(state.summary);
  showDownloads(state);
  madeBy(state.summary);
};
