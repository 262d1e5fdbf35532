// Deletes a case after the reader has confirmed it.
import {ask} from "./api.js";
import {byId} from "./dom.js";

/** Whether the case was deleted. */
export const deleteCase = async (id, label) => {
  const dialog = byId("deleting");
  dialog.returnValue = "";
  byId("deleting-name").textContent = label;
  dialog.showModal();
  await new Promise(done => dialog.addEventListener("close", done, {once: true}));
  if (dialog.returnValue !== "delete") return false;
  await ask(`/api/cases/${id}`, {method: "DELETE"});
  return true;
};
