// The panel beside the pictures: quality, volumes, downloads, and what made them.
import {byId, made, say} from "./dom.js";
import {date, fileWords, flagWords, ml, regionWords} from "./words.js";

const MEANING = {
  ok: "The images and the result look like those of the training. A case like them may still be segmented badly.",
  check: "This case is unlike those of the training. Look closely before you use the result.",
  unknown: "The network's files do not say how its cases look, so this one could not be compared.",
};

const quality = ({quality, warnings, missing_modalities: missing}) => {
  const {flag, reasons} = quality ?? {flag: "unknown", reasons: []};
  byId("quality").replaceChildren(made("span", {className: `flag ${flag}`}, flagWords(flag)), ` ${MEANING[flag]}`);
  byId("reasons").replaceChildren(...(flag === "unknown" ? [] : reasons).map(({text}) => made("li", {}, text)));
  const more = missing.length ? [`Segmented without ${missing.join(", ")}, which the upload lacks.`, ...warnings] : warnings;
  byId("warnings").replaceChildren(...more.map(text => made("p", {className: "caution"}, text)));
};

const range = error => error && error.low_ml !== null ? `${ml(error.low_ml)} to ${ml(error.high_ml)} ml` : "–";

const volumes = ({volumes_ml: found, volume_errors: errors}) => {
  byId("volumes").replaceChildren(...Object.entries(found).map(([name, value]) => made("tr", {},
    made("th", {scope: "row"}, name, made("small", {}, regionWords(name))), made("td", {}, made("b", {}, `${ml(value)} ml`)), made("td", {}, range(errors?.[name])))));
  const known = Object.values(errors ?? {}).map(error => error?.error_percent).filter(Boolean), [one] = known;
  say(byId("volumes-note"), one
    ? `Likely range: by the errors on ${one.cases} validation cases. The true volume of a case like them is in it with a probability of ${Math.round(100 * Math.min(...known.map(each => each.coverage)))} %.`
    : "No range is known: the network has no errors on validation cases.");
};

const downloads = ({id, files}) => byId("downloads").replaceChildren(...files.map(name => {
  const [what, format] = fileWords(name);
  return made("li", {}, made("a", {href: `/api/cases/${id}/files/${name}`, download: ""}, what), made("small", {}, format || name));
}));

const pair = ([term, text]) => [made("dt", {}, term), made("dd", {}, text)];

const madeBy = record => {
  const {model, run, versions, engine} = record, seconds = Object.values(run?.seconds ?? {}).reduce((total, each) => total + each, 0);
  const code = made("code", {title: record.network_sha256}, record.network_sha256.slice(0, 12));
  const pairs = [["Network", code]];
  if (model) {
    pairs.push(["Architecture", `${model.architecture}, ${model.dimensions}D${model.members > 1 ? `, ${model.members} members` : ""}`]);
    pairs.push(["Trained on", `${model.cohort}, ${model.cases} cases`]);
  }
  if (run) pairs.push(["Segmented", `${date(run.created)}, in ${seconds.toFixed(1)} s`]);
  pairs.push(["Program", `TumorFlow ${versions.tumorflow ?? ""}, ${engine?.name ?? ""}`]);
  byId("made").replaceChildren(...pairs.flatMap(pair));
};

/** Fills the panel with the result of a case that is done. */
export const showResult = state => {
  quality(state.manifest);
  volumes(state.manifest);
  downloads(state);
  madeBy(state.manifest);
};
