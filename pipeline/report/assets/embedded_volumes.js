// Feeds the viewer of the report with the volumes that the page holds, once the reader opens it. Nothing is fetched.
(() => {
  "use strict";
  const {open, busy} = window.TumorFlowViewer;
  const box = document.querySelector(".viewer"), opener = box.querySelector(".viewer-open"), poster = box.querySelector(".viewer-poster");
  const panel = document.getElementById("viewer-panel"), choice = document.getElementById("viewer-case");
  const {cases, labels, disagreement, uncertainty, sides} = JSON.parse(document.getElementById("viewer-description").textContent);
  const HEADER_BYTES = 352; // of a NIfTI file whose voxels begin behind its header
  const DARK = 4; // what the compression leaves of black is below
  const LOOKS = {reference: {title: "Reference", as: "outline"}, prediction: {title: "Prediction", as: "fill"}};
  let viewer = null;

  const stored = id => new Blob([Uint8Array.from(atob(document.getElementById(id).textContent), letter => letter.charCodeAt(0))]);

  const unpacked = id => new Response(stored(id).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();

  // A modality as a NIfTI file: its slices lie side by side in a picture.
  const greys = async (id, {header, shape: [width, height, slices], columns}) => {
    const picture = await createImageBitmap(stored(id), {colorSpaceConversion: "none"}), paper = document.createElement("canvas");
    [paper.width, paper.height] = [picture.width, picture.height];
    const pen = paper.getContext("2d", {willReadFrequently: true});
    pen.drawImage(picture, 0, 0);
    const pixels = new Uint32Array(pen.getImageData(0, 0, paper.width, paper.height).data.buffer);
    const file = new Uint8Array(HEADER_BYTES + width * height * slices);
    file.set(header);
    new DataView(file.buffer).setInt16(68, 0, true); // no labels
    for (let slice = 0, index = HEADER_BYTES; slice < slices; slice++) {
      const left = slice % columns * width, top = Math.floor(slice / columns) * height;
      for (let row = 0; row < height; row++) {
        for (let start = (top + row) * paper.width + left, place = start; place < start + width; place++, index++) {
          const grey = pixels[place] & 255;
          file[index] = grey < DARK ? 0 : grey;
        }
      }
    }
    return file.buffer;
  };

  const run = code => new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = URL.createObjectURL(new Blob([code], {type: "text/javascript"}));
    script.onload = () => {
      URL.revokeObjectURL(script.src);
      done();
    };
    script.onerror = () => failed(new Error("NiiVue does not start"));
    document.head.append(script);
  });

  const sceneOf = one => ({
    ...one, labels, sides, disagreement: {of: ["reference", "prediction"], ...disagreement},
    modalities: one.modalities.map(name => ({name})),
    maps: Object.entries(LOOKS).map(([name, look]) => ({name, ...look})),
    uncertainty: one.maps.includes("uncertainty") ? {levels: uncertainty.colours.length, ...uncertainty} : null,
  });

  // The files of a case are numbered: its modalities, then its maps.
  const feedOf = place => {
    const one = cases[place], map = name => unpacked(`viewer-${place}-${one.modalities.length + one.maps.indexOf(name)}`);
    const modality = async name => {
      const header = new Uint8Array(await map("reference"), 0, HEADER_BYTES);
      return greys(`viewer-${place}-${one.modalities.indexOf(name)}`, {...one, header});
    };
    return {modality, map, uncertainty: () => map("uncertainty")};
  };

  const start = async () => {
    await run(await unpacked("viewer-niivue"));
    viewer = await open(box, sceneOf(cases[0]), feedOf(0));
  };

  const turn = opened => {
    panel.hidden = !opened;
    if (poster) poster.hidden = opened;
    opener.setAttribute("aria-expanded", String(opened));
    opener.textContent = opened ? "Close the viewer" : "Open the viewer";
  };

  choice.replaceChildren(...cases.map(({name}, place) => new Option(name, place)));
  choice.addEventListener("change", async () => {
    await busy(box, () => viewer.show(sceneOf(cases[choice.value]), feedOf(choice.value)));
    choice.value = cases.findIndex(({name}) => name === viewer.scene().name);
  });
  opener.addEventListener("click", () => busy(box, async () => {
    turn(panel.hidden);
    if (panel.hidden || viewer) return;
    try {
      await start();
    } catch (error) {
      turn(false);
      throw error;
    }
  }));
  opener.parentElement.hidden = false;
})();
