// Opens the report's viewer on scenes that the server keeps: scene.json names volumes, which are fetched beside it.
import "../report/label_painting.js";
import "../report/viewer.js";

const {open, link, busy} = window.TumorFlowViewer;
const NIIVUE = new URL("../report/niivue/niivue.umd.js", import.meta.url);
let started = null;

const startNiivue = () => started ??= new Promise((done, failed) => {
  const script = document.createElement("script");
  script.src = NIIVUE;
  script.onload = done;
  script.onerror = () => failed(new Error("NiiVue does not start"));
  document.head.append(script);
});

const fetched = async url => {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(answer.status === 404 ? "its volumes are no longer kept" : `the server answers with ${answer.status}`);
  return answer;
};

/** A scene and its feed from the address of a scene.json; every volume is fetched once. */
export const sceneAt = async address => {
  const base = new URL(address, document.baseURI), scene = await (await fetched(base)).json(), kept = new Map();
  const volume = ({url}) => {
    if (!kept.has(url)) {
      const file = fetched(new URL(url, base)).then(answer => answer.arrayBuffer());
      kept.set(url, file);
      file.catch(() => kept.delete(url));
    }
    return kept.get(url);
  };
  const named = (list, name) => list.find(one => one.name === name);
  const feed = {
    modality: name => volume(named(scene.modalities, name)), map: name => volume(named(scene.maps, name)), uncertainty: () => volume(scene.uncertainty),
  };
  return {scene, feed};
};

/** Opens the viewer of an element (templates/viewer.html.j2) on a scene; a failure is said in its status, and gives null. */
export const openScene = async (root, address) => {
  let viewer = null;
  await busy(root, async () => {
    const [{scene, feed}] = await Promise.all([sceneAt(address), startNiivue()]);
    viewer = await open(root, scene, feed);
    for (const {name} of scene.modalities) feed.modality(name).catch(() => {}); // so that the next one is there at once
  });
  return viewer;
};

/** Opens the viewers inside an element on the addresses in their `data-scene`; several are linked. */
export const openAll = async (parent = document) => {
  const roots = [...parent.querySelectorAll(".viewer[data-scene]")];
  const viewers = (await Promise.all(roots.map(root => openScene(root, root.dataset.scene)))).filter(Boolean);
  if (viewers.length > 1) link(...viewers);
  return viewers;
};
