// The quality flag of a case with its reasons, and the warnings about it.
import {made} from "./dom.js";
import {count} from "./words.js";

const AT_ONCE = 2; // reasons, the strongest first

const list = texts => made("ul", {className: "facts"}, ...texts.map(text => made("li", {}, text)));

/** Elements for a flag: its name, and the reasons, of which the weaker ones are folded away. */
export const flagged = ({flag, words, reasons}) => {
  const more = reasons.slice(AT_ONCE), parts = [made("p", {}, made("span", {className: `flag ${flag}`}, words ?? flag))];
  if (reasons.length) parts.push(list(reasons.slice(0, AT_ONCE)));
  if (more.length) parts.push(made("details", {}, made("summary", {}, count(more.length, "more reason")), list(more)));
  return parts;
};

export const cautions = texts => texts.map(text => made("p", {className: "caution"}, text));
