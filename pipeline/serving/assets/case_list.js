// The list of cases, which keeps itself up to date.
import {ask} from "./api.js";
import {deleteCase} from "./deleting.js";
import {byId, made, say} from "./dom.js";
import {WORKED_ON, date, ml, queued, regionWords, statusWords, until} from "./words.js";

const BUSY_MS = 1000, IDLE_MS = 15000, MANY = 8, TROUBLED = ["failed", "interrupted", "rejected"];
const table = byId("cases"), body = table.tBodies[0], order = byId("order"), find = byId("find");
const rows = new Map();
let cases = [], regions = [], timer = 0;

const cell = (className, title) => made("td", {className, role: "cell", "data-title": title});

const remove = async (one, row) => {
  const next = row.nextElementSibling ?? row.previousElementSibling;
  try {
    if (!await deleteCase(one.id, nameOf(one))) return;
    row.remove();
    rows.delete(one.id);
    (next?.querySelector("a") ?? byId("choose-folder")).focus();
    await refresh();
  } catch (error) {
    complain(error.message);
  }
};

const nameOf = one => one.label || one.case;

const newRow = one => {
  const link = made("a", {href: `/cases/${one.id}`}, nameOf(one)), added = made("small", {}, date(one.created)), reason = made("small");
  const head = made("th", {scope: "row", role: "rowheader"}, link, added, reason);
  const status = cell("status", "Status"), quality = cell("quality", "Quality"), kept = cell("kept", "Kept for");
  const button = made("button", {type: "button", ariaLabel: `Delete ${nameOf(one)}`}, "Delete");
  const row = made("tr", {role: "row"}, head, status, quality, kept, made("td", {role: "cell", className: "act"}, button));
  button.onclick = () => remove(one, row);
  return {row, reason, status, quality, kept, volumes: new Map()};
};

const stateWords = one => {
  if (one.status === "waiting") return `${statusWords(one.status)}${queued(one.ahead)}`;
  if (["received", "running"].includes(one.status) && one.step) return one.step;
  return statusWords(one.status);
};

// Why a case has no result, in a sentence; else what is to be known of it.
const remark = one => {
  if (TROUBLED.includes(one.status)) return one.message.split(/(?<=[.!?]) /)[0];
  if (one.is_corrected) return "Corrected; volumes as predicted.";
  if (one.corrected_before) return "The same files were corrected before; that is kept for training.";
  return order.value === "worth" ? one.reason ?? "" : "";
};

const fill = (shown, one) => {
  say(shown.status, stateWords(one));
  say(shown.reason, remark(one));
  shown.status.dataset.status = one.status;
  if (one.flag && shown.quality.dataset.flag !== one.flag) {
    shown.quality.replaceChildren(made("span", {className: `flag ${one.flag}`}, one.flag_words));
    shown.quality.dataset.flag = one.flag;
  }
  say(shown.kept, until(one.expires));
  shown.kept.title = `Until ${date(one.expires)}`;
  for (const region of regions) {
    if (!shown.volumes.has(region)) {
      const place = cell("volume", `${region} ml`);
      shown.volumes.set(region, place);
      shown.kept.before(place);
    }
    const value = one.volumes_ml?.[region];
    say(shown.volumes.get(region), value === undefined ? "" : ml(value));
  }
};

const heads = () => {
  const names = ["Case", "Status", "Quality", ...regions.map(name => [`${name} ml`, regionWords(name)]), "Kept for", ""];
  byId("heads").replaceChildren(...names.map(name => {
    const [text, title = ""] = [name].flat(), className = title || text.endsWith(" ml") ? "volume" : "";
    return text ? made("th", {scope: "col", role: "columnheader", title, className}, text) : made("td", {role: "cell"});
  }));
};

const sorted = () => {
  const wanted = find.value.trim().toLowerCase(), found = cases.filter(one => nameOf(one).toLowerCase().includes(wanted));
  if (order.value === "newest") return found;
  const place = one => one.worth ?? Infinity;
  return found.sort((one, other) => place(one) - place(other));
};

const show = () => {
  const names = [...new Set(cases.flatMap(one => Object.keys(one.volumes_ml ?? {})))];
  if (names.join() !== regions.join() || !byId("heads").cells.length) {
    regions = names;
    heads();
    rows.clear();
  }
  const list = sorted().map(one => {
    if (!rows.has(one.id)) rows.set(one.id, newRow(one));
    fill(rows.get(one.id), one);
    return rows.get(one.id).row;
  });
  if (list.length !== body.rows.length || list.some((row, place) => row !== body.rows[place])) {
    const focused = document.activeElement;
    body.replaceChildren(...list);
    focused.focus();
  }
  table.hidden = !list.length;
  byId("empty").hidden = cases.length > 0;
  byId("none-found").hidden = !cases.length || list.length > 0;
  order.parentElement.hidden = !cases.some(one => one.worth !== undefined);
  find.parentElement.hidden = cases.length < MANY && !find.value;
};

const complain = message => {
  say(byId("list-error"), message);
  byId("list-error").hidden = !message;
};

export const refresh = async () => {
  clearTimeout(timer);
  try {
    cases = await ask("/api/cases");
    complain("");
    show();
  } catch (error) {
    complain(error.message);
  }
  const busy = cases.some(one => WORKED_ON.includes(one.status));
  timer = setTimeout(refresh, busy && !document.hidden ? BUSY_MS : IDLE_MS);
};

order.addEventListener("change", show);
find.addEventListener("input", show);
document.addEventListener("visibilitychange", () => document.hidden || refresh());
refresh();
