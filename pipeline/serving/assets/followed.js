// A follow-up: waits until it is done, then opens the visits side by side.
import {ask} from "./api.js";
import {openAll} from "./scene.js";

const {id, status} = document.getElementById("followed").dataset, PAUSE_MS = 1000;

const wait = async () => {
  const state = await ask(`/api/follow/${id}`);
  if (["waiting", "running"].includes(state.status)) setTimeout(wait, PAUSE_MS);
  else location.reload();
};

if (status === "done") await openAll();
else if (status !== "failed") setTimeout(wait, PAUSE_MS);
