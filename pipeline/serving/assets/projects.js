// The last runs of the project, from MLflow, which a process of the server asks.
import {ask} from "./api.js";
import {made} from "./dom.js";

const MLFLOW = "http://127.0.0.1:5000", PAUSE_MS = 700, SHORT_HASH = 7, MOST_CHANGES = 6;
const table = document.getElementById("runs"), status = document.getElementById("runs-status"), link = document.getElementById("mlflow");

const number = value => typeof value === "number" ? value.toFixed(3) : "–";

const changes = run => {
  const items = run.changed.slice(0, MOST_CHANGES).map(([name, there, here]) => made("li", {}, `${name}: ${there} → ${here}`));
  if (run.changed.length > MOST_CHANGES) items.push(made("li", {}, `and ${run.changed.length - MOST_CHANGES} more`));
  return made("td", {className: "changed"}, items.length ? made("ul", {}, ...items) : "–");
};

const named = (run, current) => {
  const head = made("th", {scope: "row"}, run.name), started = run.started.slice(0, 16).replace("T", " ");
  if (!run.name.includes(started)) head.append(made("small", {}, `${started} UTC`));
  if (run.experiment) head.append(made("small", {}, `experiment ${run.experiment}`));
  if (run.status !== "FINISHED") head.append(made("small", {}, run.status.toLowerCase()));
  if (current) head.append(made("small", {}, "the results here"));
  return head;
};

const interval = ({mean, low, high}) => {
  const cell = made("td", {}, number(mean));
  if (typeof low === "number" && typeof high === "number") cell.append(made("small", {}, `${number(low)} to ${number(high)}`));
  return cell;
};

const fill = ({runs, regions, mlflow}) => {
  const heads = ["Run", "Cohort", "Mean Dice", ...regions, "Commit", "Changed since the run before"];
  table.tHead.replaceChildren(made("tr", {}, ...heads.map(text => made("th", {scope: "col"}, text))));
  table.tBodies[0].replaceChildren(...runs.map(run => {
    const current = Boolean(run.evaluation_sha256) && run.evaluation_sha256 === table.dataset.evaluation;
    return made("tr", {className: current ? "current" : ""}, named(run, current), made("td", {}, run.cohort), interval(run),
      ...regions.map(name => made("td", {}, number(run.dice[name]))), made("td", {}, made("code", {}, run.commit.slice(0, SHORT_HASH) || "–")), changes(run));
  }));
  table.parentElement.hidden = !runs.length;
  const anchor = link.querySelector("a");
  anchor.textContent = anchor.href = MLFLOW + mlflow;
  link.hidden = !mlflow;
};

const look = async () => {
  try {
    const found = await ask("/api/projects/runs");
    if (found.status === "running") {
      setTimeout(look, PAUSE_MS);
      return;
    }
    if (found.status === "failed") throw new Error(found.message);
    fill(found);
    status.textContent = found.runs.length ? "" : "There is no run yet. Run dvc repro.";
  } catch (error) {
    status.textContent = error.message;
  }
};
look();
