import {ask} from "./api.js";
import {offerCorrection} from "./correction.js";
import {openScene} from "./scene.js";

const shown = document.getElementById("state"), PAUSE_MS = 500, root = document.querySelector(".viewer"), {id} = shown.dataset;

const look = async () => {
  const state = await ask(`/api/cases/${id}`);
  shown.textContent = JSON.stringify(state, null, 1);
  if (["received", "waiting", "running"].includes(state.status)) setTimeout(look, PAUSE_MS);
  if (state.status !== "done") return;
  const viewer = window.viewer = await openScene(root, root.dataset.scene);
  if (viewer) await offerCorrection(viewer, root, root.dataset.scene, id);
};
look();
