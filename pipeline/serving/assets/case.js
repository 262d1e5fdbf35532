import {ask} from "./api.js";

const shown = document.getElementById("state"), PAUSE_MS = 500;

const look = async () => {
  const state = await ask(`/api/cases/${shown.dataset.id}`);
  shown.textContent = JSON.stringify(state, null, 1);
  if (["received", "waiting", "running"].includes(state.status)) setTimeout(look, PAUSE_MS);
};
look();
