// Waits for what the server makes, and shows how far it is.
import {ask} from "./api.js";

const PAUSE_MS = 400;
const pause = () => new Promise(done => setTimeout(done, PAUSE_MS));

/**
 * Starts something by `start()`, a promise of its state {status, step, share, message}, and looks by `look(state)` until it
 * is done; `use(state)` then shows it. `root` holds templates/making.html.j2 and parts of class "when-made", which appear.
 */
export const makeInto = (root, start, look, use) => {
  const box = root.querySelector(".making"), said = box.querySelector("output"), bar = box.querySelector("progress"), again = box.querySelector("button");
  const run = async () => {
    box.classList.remove("failed");
    [bar.hidden, again.hidden] = [false, true];
    try {
      let state = await start();
      while (["waiting", "running"].includes(state.status)) {
        said.textContent = state.status === "waiting" ? "Waiting for other work …" : `${state.step} …`;
        if (state.share) bar.value = state.share;
        await pause();
        state = await look(state);
      }
      if (state.status !== "done") throw new Error(state.message || "This is no longer kept.");
      box.hidden = true;
      for (const part of document.querySelectorAll(".when-made")) part.hidden = false;
      await use(state);
    } catch (error) {
      box.classList.add("failed");
      said.textContent = error.message;
      [bar.hidden, again.hidden] = [true, false];
    }
  };
  again.addEventListener("click", run);
  return run();
};

export {ask};
