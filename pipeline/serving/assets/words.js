// What values are called on the pages.
const STATUS = {
  received: "Reading the files", unclear: "Choose the series", waiting: "Waiting", running: "Running", done: "Done", failed: "Failed",
  interrupted: "Interrupted", rejected: "Not readable",
};
const MODALITY = {t1n: "T1", t1c: "T1 with contrast agent", t2w: "T2", t2f: "T2 FLAIR"};
const REGION = {WT: "whole tumour", TC: "tumour core", ET: "enhancing tumour", RC: "resection cavity", CC: "cystic component"};
const day = new Intl.DateTimeFormat(undefined, {day: "numeric", month: "short", hour: "2-digit", minute: "2-digit"});
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60]];

export const WORKED_ON = ["received", "waiting", "running"];
export const statusWords = status => STATUS[status] ?? status;
export const modalityWords = name => MODALITY[name] ?? "";
export const regionWords = name => REGION[name] ?? "";
export const date = text => day.format(new Date(text));

export const count = (number, one) => `${number} ${one}${number === 1 ? "" : "s"}`;

/** How long until a time: "23 hours". */
export const until = text => {
  const seconds = (new Date(text) - Date.now()) / 1000, [unit, length] = UNITS.find(([, length]) => seconds >= length) ?? UNITS.at(-1);
  return count(Math.max(Math.round(seconds / length), 1), unit);
};

export const ml = value => value.toFixed(1);

/** Bytes as a person reads them: "240 MB". */
export const size = bytes => bytes < 1e5 ? `${Math.ceil(bytes / 1000)} kB` : `${bytes < 1e7 ? (bytes / 1e6).toFixed(1) : Math.round(bytes / 1e6)} MB`;

/** Where a case stands in the queue. */
export const queued = ahead => ahead ? `, ${count(ahead, "case")} before it` : "";
