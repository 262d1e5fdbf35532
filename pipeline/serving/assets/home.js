// The home page: what is dropped becomes cases; the list of cases keeps itself up to date.
import {refresh} from "./case_list.js";
import {byId} from "./dom.js";
import {chosen, dropped} from "./dropped.js";
import {upload} from "./uploads.js";

const drop = byId("drop"), status = byId("status");

const take = async finding => {
  let cases = [];
  try {
    cases = await finding;
  } catch (error) {
    status.textContent = `The files cannot be read: ${error.message}`;
    status.className = "problem";
    return;
  }
  const ids = await Promise.all(cases.map(async one => {
    const id = await upload(one);
    refresh();
    return id;
  }));
  if (ids.length === 1 && ids[0]) location.assign(`/cases/${ids[0]}`);
};

for (const [button, input] of [["choose-folder", "folder"], ["choose-files", "files"]]) {
  byId(button).addEventListener("click", () => byId(input).click());
  byId(input).addEventListener("change", ({target}) => {
    take(chosen([...target.files]));
    target.value = ""; // so that the same files can be chosen again
  });
}

const holdsFiles = event => [...event.dataTransfer?.types ?? []].includes("Files");

// The whole page takes a drop, so that one that misses the area does not leave the page.
let over = 0;
document.addEventListener("dragenter", event => {
  if (holdsFiles(event)) drop.classList.toggle("over", ++over > 0);
});
document.addEventListener("dragleave", event => {
  if (holdsFiles(event)) drop.classList.toggle("over", --over > 0);
});
document.addEventListener("dragover", event => {
  if (!holdsFiles(event)) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = "copy";
});
document.addEventListener("drop", event => {
  if (!holdsFiles(event)) return;
  event.preventDefault();
  over = 0;
  drop.classList.remove("over");
  take(dropped(event.dataTransfer));
});
