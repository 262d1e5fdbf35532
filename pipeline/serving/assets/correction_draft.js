// Unsaved corrections in the browser's own storage (IndexedDB), a label map of each case, compressed.
const NAME = "tumorflow", DRAFTS = "drafts";

const answered = request => new Promise((done, failed) => {
  request.onsuccess = () => done(request.result);
  request.onerror = () => failed(request.error);
});

const run = async (mode, action) => {
  const opening = indexedDB.open(NAME, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(DRAFTS);
  const database = await answered(opening);
  try {
    return await answered(action(database.transaction(DRAFTS, mode).objectStore(DRAFTS)));
  } finally {
    database.close();
  }
};

const through = (bytes, stream) => new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer();

/** Keeps the voxels of a case with a few facts. */
export const keep = async (id, voxels, facts) => {
  const packed = await through(voxels, new CompressionStream("gzip"));
  await run("readwrite", store => store.put({...facts, packed}, id));
};

/** The facts that were kept with the voxels of a case, and `voxels`; null if there are none. */
export const find = async id => {
  const draft = await run("readonly", store => store.get(id));
  return draft ? {...draft, voxels: new Uint8Array(await through(draft.packed, new DecompressionStream("gzip")))} : null;
};

export const forget = id => run("readwrite", store => store.delete(id));

/** Forgets the cases that are not among these. */
export const forgetOthers = async ids => {
  for (const id of await run("readonly", store => store.getAllKeys())) if (!ids.includes(id)) await forget(id);
};
