// Chosen cases become a follow-up.
import {ask} from "./api.js";
import {date} from "./words.js";

const form = document.getElementById("follow"), status = document.getElementById("follow-status");

const visits = () => [...form.querySelectorAll("tr[data-case]")]
  .filter(row => row.querySelector("[name=case]").checked)
  .map(row => {
    const {value} = row.querySelector("[name=day]");
    return {case: row.dataset.case, day: value === "" ? null : Number(value)};
  });

for (const time of document.querySelectorAll("time")) time.textContent = date(time.dateTime);

form?.addEventListener("submit", async event => {
  event.preventDefault();
  const body = JSON.stringify({
    visits: visits(), baseline: form.elements.baseline.value, one_patient: form.elements["one-patient"].checked,
  });
  try {
    const {id} = await ask("/api/follow", {method: "POST", body, headers: {"Content-Type": "application/json"}});
    location.assign(`/follow/${id}`);
  } catch (error) {
    status.textContent = error.message;
  }
});
