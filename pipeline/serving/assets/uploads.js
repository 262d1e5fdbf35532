// Uploads, one after the other, each with a row that shows how far it is.
import {send} from "./api.js";
import {byId, made} from "./dom.js";
import {tar} from "./tar.js";
import {count, size} from "./words.js";

const list = byId("uploads"), status = byId("status"), most = Number(byId("drop").dataset.mostBytes);
let before = Promise.resolve();

const problem = ({files, archive}, bytes) => {
  if (!files.length) return "This folder holds no file. Drop the folder with the images.";
  if (bytes > most) return `${count(files.length, "file")} of ${size(bytes)} are more than the ${size(most)} that the server takes. Drop the images of one study alone.`;
  if (archive && !bytes) return "This file is empty. Copy it again, or drop the folder itself.";
  return "";
};

// The row of an upload; `cancel` ends it.
const row = (name, cancel) => {
  const bar = made("progress", {max: 1, value: 0, ariaLabel: `Upload of ${name}`}), words = made("span", {className: "faint"}, "waits for the upload before");
  const button = made("button", {type: "button", ariaLabel: `Cancel the upload of ${name}`, onclick: cancel}, "Cancel");
  const item = made("li", {}, made("b", {}, name), bar, words, button);
  list.append(item);
  return {
    progress: (share, text) => {
      bar.value = share;
      words.textContent = text;
    },
    fail: text => {
      bar.remove();
      item.className = "failed";
      words.className = "problem";
      words.textContent = text;
      button.textContent = "Close";
      button.ariaLabel = `Close the message about ${name}`;
      button.onclick = () => item.remove();
    },
    end: () => item.remove(),
  };
};

const sendOne = async (one, shown, signal) => {
  const trouble = problem(one, one.files.reduce((total, {blob}) => total + blob.size, 0));
  if (trouble) throw new Error(trouble);
  const body = one.archive ?? tar(one.files);
  const sent = bytes => shown.progress(bytes / body.size, bytes < body.size ? `${size(bytes)} of ${size(body.size)}` : "The server takes the files …");
  sent(0);
  return await send(`/api/cases?name=${encodeURIComponent(one.name.slice(0, 200))}`, body, {signal, sent});
};

/** Uploads a case after those before; a promise of its id, or null if it failed or was cancelled. */
export const upload = one => {
  const cancelled = new AbortController(), shown = row(one.name, () => cancelled.abort());
  const run = async () => {
    try {
      cancelled.signal.throwIfAborted();
      status.textContent = `Sending ${one.name}`;
      const {id} = await sendOne(one, shown, cancelled.signal);
      status.textContent = `${one.name} was sent`;
      shown.end();
      return id;
    } catch (error) {
      if (error.name === "AbortError") {
        status.textContent = `The upload of ${one.name} was cancelled`;
        shown.end();
      } else {
        status.textContent = `${one.name} was not sent: ${error.message}`;
        shown.fail(error.message);
      }
      return null;
    }
  };
  const own = before.then(run);
  before = own;
  return own;
};
