// The page of a case: what happens to it, then what was found.
import {ask} from "./api.js";
import {offerCorrection} from "./correction.js";
import {deleteCase} from "./deleting.js";
import {byId, say} from "./dom.js";
import {showDownloads, showResult} from "./result.js";
import {openScene} from "./scene.js";
import {onStart, showSeries, wanted} from "./series.js";
import {WORKED_ON, date, queued, statusWords, until} from "./words.js";

const BUSY_MS = 400, IDLE_MS = 20000;
const {id} = byId("case").dataset, label = document.querySelector("h1").textContent, path = `/api/cases/${id}`;
const STEPS = {received: 1, unclear: 1, waiting: 2, running: 2, done: 4, failed: 2, interrupted: 2, rejected: 1};
const TROUBLE = {
  failed: ["This case could not be segmented", "Correct the choice of the series below if it is wrong, and start again; or drop other files."],
  interrupted: ["The work on this case was interrupted", "Its files are still here. Start again."],
  rejected: ["These files cannot be read", ""],
};
let timer = 0, isAway = false, viewer = null, seen = "", finding = Promise.resolve(), endCorrection = () => {};

const stepWords = ({status, step, ahead}) => {
  if (status === "received") return step || "The files wait to be read";
  if (status === "waiting") return `Waiting for the network${queued(ahead)}`;
  return step || "Starting";
};

const showProgress = state => {
  const busy = WORKED_ON.includes(state.status), at = STEPS[state.status];
  byId("progress").hidden = !busy;
  if (!busy) return;
  for (const [place, item] of [...byId("steps").children].entries()) {
    item.className = place < at ? "over" : place === at ? "now" : "";
    if (place === at) item.setAttribute("aria-current", "step");
    else item.removeAttribute("aria-current");
  }
  say(byId("step"), stepWords(state));
  byId("bar").value = state.status === "waiting" ? 0 : state.share;
};

const showTrouble = ({status, message, series}) => {
  const trouble = TROUBLE[status];
  byId("trouble").hidden = !trouble;
  if (!trouble) return;
  say(byId("trouble-title"), trouble[0]);
  say(byId("trouble-message"), message);
  say(byId("trouble-remedy"), trouble[1]);
  byId("again").hidden = !series.length;
};

const closeFinding = () => {
  endCorrection();
  viewer?.close();
  [viewer, endCorrection] = [null, () => {}];
};

const openFinding = async state => {
  const done = state.status === "done", root = document.querySelector(".viewer"), {scene} = root.dataset;
  closeFinding();
  byId("finding").hidden = byId("follow").hidden = !done;
  if (!done) return;
  showResult(state);
  viewer = await openScene(root, scene);
  if (viewer) endCorrection = await offerCorrection(viewer, root, scene, id);
};

// One after the other, since they share a canvas.
const showFinding = state => {
  finding = finding.then(() => openFinding(state)).catch(lose);
};

// What is said of an action stays until the next one; that the server is away, until it is back.
const lose = (error, away = false) => {
  isAway = away;
  byId("lost").hidden = false;
  say(byId("lost"), error.message);
};

const show = state => {
  say(byId("kept"), `Kept for ${until(state.expires)}`);
  byId("kept").title = `Until ${date(state.expires)}`;
  showProgress(state);
  showTrouble(state);
  showSeries(state);
  document.title = `${state.status === "done" ? "" : `${statusWords(state.status)} · `}${label} · TumorFlow`;
  const now = `${state.status} ${state.queued}`; // another tab may have segmented it again
  if (seen !== now) showFinding(state);
  else if (state.status === "done") showDownloads(state);
  seen = now;
};

const look = async () => {
  clearTimeout(timer);
  let pause = IDLE_MS;
  try {
    const state = await ask(path);
    if (isAway) byId("lost").hidden = true; // what was said of an action stays
    show(state);
    const preparing = state.status === "done" && !state.downloads.is_complete;
    if (WORKED_ON.includes(state.status) || preparing) pause = BUSY_MS;
  } catch (error) {
    lose(error, true);
  }
  timer = setTimeout(look, pause);
};

const start = async choice => {
  await ask(`${path}/series`, {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(choice)});
  await look();
  byId("progress").scrollIntoView({block: "nearest"});
};

onStart(start);
byId("again").addEventListener("click", async () => {
  try {
    await start(wanted());
  } catch (error) {
    say(byId("trouble-remedy"), error.message);
  }
});
byId("delete").addEventListener("click", async () => {
  try {
    if (await deleteCase(id, label)) location.assign("/");
  } catch (error) {
    lose(error);
  }
});
document.addEventListener("visibilitychange", () => document.hidden || look());
look();
