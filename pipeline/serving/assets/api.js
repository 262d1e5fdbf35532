// Requests to the server; a refused one throws an error with the server's words.
const TOKEN = "meta[name=token]", FORBIDDEN = 403;
let token = document.querySelector(TOKEN).content;
const headers = () => ({"X-TumorFlow-Token": token});

// A server that was started again has another token: whether the page has got it.
const renewed = async () => {
  const page = await (await fetch("/")).text(), known = token;
  token = new DOMParser().parseFromString(page, "text/html").querySelector(TOKEN)?.content ?? known;
  return token !== known;
};

const AWAY = "The server does not answer. See whether it still runs, and try again.";

const read = (text, status) => {
  try {
    return JSON.parse(text);
  } catch {
    return {message: `The server answers with ${status}.`};
  }
};

/** An error of a request; `status` is 0 where there was no answer. */
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

const judged = (text, status) => {
  const body = read(text, status);
  if (status < 200 || status > 299) throw new Refused(body.message ?? `The server answers with ${status}.`, status);
  return body;
};

export const ask = async (path, options = {}) => {
  const asked = () => fetch(path, {...options, headers: {...headers(), ...options.headers}});
  let answer, text;
  try {
    answer = await asked();
    if (answer.status === FORBIDDEN && await renewed()) answer = await asked();
    text = await answer.text();
  } catch {
    throw new Refused(AWAY, 0);
  }
  return judged(text, answer.status);
};

/** Sends a Blob by POST; `sent(bytes)` is called meanwhile, and an aborted `signal` ends it with an AbortError. */
export const send = async (path, body, options) => {
  try {
    return await sendOnce(path, body, options);
  } catch (error) {
    if (error.status === FORBIDDEN && await renewed()) return sendOnce(path, body, options);
    throw error;
  }
};

const sendOnce = (path, body, {signal, sent}) => new Promise((done, failed) => {
  const request = new XMLHttpRequest(); // fetch() does not say how much was sent
  request.open("POST", path);
  for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
  request.upload.onprogress = ({loaded}) => sent(loaded);
  request.onload = () => {
    try {
      done(judged(request.responseText, request.status));
    } catch (error) {
      failed(error);
    }
  };
  request.onerror = () => failed(new Refused("The upload broke off. See whether the files are still there and the server still runs, and drop them again.", 0));
  request.onabort = () => failed(new DOMException("The upload was cancelled.", "AbortError"));
  signal.addEventListener("abort", () => request.abort());
  request.send(body);
});
