// Requests to the server; a refused one throws an error with the server's words.
const token = document.querySelector("meta[name=token]").content;

export const ask = async (path, options = {}) => {
  const headers = {"X-TumorFlow-Token": token, ...options.headers};
  const answer = await fetch(path, {...options, headers}), body = await answer.json();
  if (!answer.ok) throw new Error(body.message ?? `The server answers with ${answer.status}.`);
  return body;
};
