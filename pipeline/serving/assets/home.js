import {ask} from "./api.js";
import {tar} from "./tar.js";

const input = document.getElementById("files"), status = document.getElementById("status");

input.addEventListener("change", async () => {
  const files = [...input.files].map(file => ({name: file.webkitRelativePath || file.name, blob: file}));
  status.textContent = "Sending …";
  try {
    const body = files.length === 1 && /\.(zip|tar)$/i.test(files[0].name) ? files[0].blob : tar(files);
    const {id} = await ask(`/api/cases?name=${encodeURIComponent(files[0].name)}`, {method: "POST", body});
    location.assign(`/cases/${id}`);
  } catch (error) {
    status.textContent = error.message;
  }
});

const cases = await ask("/api/cases");
document.getElementById("cases").replaceChildren(...cases.map(one => {
  const item = document.createElement("li"), link = document.createElement("a");
  link.href = `/cases/${one.id}`;
  link.textContent = one.label || one.id;
  item.append(link, ` ${one.status}`);
  return item;
}));
