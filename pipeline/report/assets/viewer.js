// Shows the volumes that the page holds with NiiVue, once the reader opens the viewer. Nothing is fetched.
(() => {
  "use strict";
  const box = document.querySelector(".viewer");
  const {cases, labels, disagreement, uncertainty, sides} = JSON.parse(document.getElementById("viewer-description").textContent);
  const control = name => document.getElementById(`viewer-${name}`);
  const opener = box.querySelector(".viewer-open"), panel = control("panel"), canvas = box.querySelector("canvas");
  const poster = box.querySelector(".viewer-poster");
  const status = box.querySelector(".viewer-status"), where = box.querySelector(".viewer-where");
  const AXES = ["sagittal", "coronal", "axial"], SLICE_TYPES = {axial: 0, coronal: 1, sagittal: 2}, PLANES = 3, RENDER = 4;
  const HEADER_BYTES = 352; // of a NIfTI file whose voxels begin behind its header
  const MAPS = ["reference", "prediction", "disagreement", "uncertainty"];
  const WINDOWING = 9, WHOLE_WINDOW = 255; // NiiVue's number of a drag that changes it; grey levels
  const DARK = 4; // what the compression leaves of black is below
  const HEAD_OPACITY = 0.35; // in 3D, where the tumour shows through
  const ERROR_STRENGTH = 225; // of 255: few voxels, which must be seen
  let nv = null, shown = null, at = [0, 0, 0];

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

  const start = async () => {
    if (!document.createElement("canvas").getContext("webgl2")) throw new Error("this browser offers no WebGL 2");
    await run(await unpacked("viewer-niivue"));
    nv = new niivue.Niivue({
      logLevel: "error", dragAndDropEnabled: false, dragMode: WINDOWING, clipPlaneHotKey: "", viewModeHotKey: "", cycleClipPlaneHotKey: "",
      scrollRequiresFocus: true, isRadiologicalConvention: true, sagittalNoseLeft: true, isOrientationTextVisible: sides, showAllOrientationMarkers: true,
      fontColor: [0.9, 0.91, 0.92, 1], crosshairColor: [0.75, 0.78, 0.8, 1], crosshairWidth: 0.4, crosshairWidthUnit: "mm",
      crosshairGap: 16, multiplanarShowRender: 0, tileMargin: 4,
    });
    await nv.attachToCanvas(canvas, true);
    canvas.tabIndex = -1; // every movement has a control of its own, so the keyboard need not stop here
    nv.onLocationChange = place => moved([...place.vox]);
    nv.onIntensityChange = ({cal_min, cal_max}) => {
      control("level").value = (cal_min + cal_max) / 2;
      control("window").value = cal_max - cal_min;
    };
    nv.onAzimuthElevationChange = (turn, tilt) => {
      control("turn").value = (turn % 360 + 360) % 360;
      control("tilt").value = tilt;
    };
    const mine = event => event.target === canvas && event.stopPropagation();
    for (const kind of ["keydown", "keyup"]) panel.addEventListener(kind, mine, true);
    // Wheel and fingers scroll the page, and not the slices, until the reader has clicked the picture.
    for (const kind of ["wheel", "touchstart", "touchmove", "touchend"]) {
      const leave = event => event.target === canvas && document.activeElement !== canvas && event.stopPropagation();
      panel.addEventListener(kind, leave, {capture: true, passive: true});
    }
  };

  const options = (select, names) => select.replaceChildren(...names.map(([value, text]) => new Option(text, value)));

  // A case and its label maps: these are kept as voxels, for the words below the picture, and painted into one volume of colours.
  const showCase = async place => {
    const one = cases[place], kept = control("modality").value;
    options(control("modality"), one.modalities.map(name => [name, name]));
    control("modality").value = one.modalities.includes(kept) ? kept : one.opened_on;
    const views = one.planes.map(([name]) => [name, name[0].toUpperCase() + name.slice(1)]);
    if (one.planes.length > 1) views.push(["planes", "Three planes"], ["render", "3D"]);
    const view = control("plane").value;
    options(control("plane"), views);
    control("plane").value = views.some(([name]) => name === view) ? view : views[0][0];
    const files = await Promise.all(one.maps.map((_, number) => unpacked(`viewer-${place}-${one.modalities.length + number}`)));
    const voxels = Object.fromEntries(one.maps.map((name, number) => [name, new Uint8Array(files[number], HEADER_BYTES)]));
    voxels.disagreement = disagreeing(voxels.reference, voxels.prediction);
    const maps = MAPS.filter(name => voxels[name]), header = new Uint8Array(files[0], 0, HEADER_BYTES);
    control("uncertainty").parentElement.parentElement.hidden = !voxels.uncertainty;
    shown = {...one, place, header, maps, voxels, marked: marked(Object.values(voxels)), paint: await painting(header, voxels.reference.length)};
    for (const [axis, length] of one.shape.entries()) {
      const slider = control(`slice-${axis}`);
      slider.min = one.offset[axis] + 1;
      slider.step = length > 1 ? one.step : 1;
      slider.max = one.offset[axis] + 1 + (length - 1) * slider.step;
    }
    at = [...one.start];
    control("zoom").value = 100;
    await showModality();
  };

  // 0 where two maps agree, else 1 for missed, 2 for false alarm and 3 for another label.
  const disagreeing = (reference, prediction) => reference.map((label, index) => {
    const drawn = prediction[index];
    return label === drawn ? 0 : !drawn ? 1 : !label ? 2 : 3;
  });

  // Indices of the voxels that any map marks: few, so that painting is quick.
  const marked = maps => {
    const found = [];
    for (let index = 0; index < maps[0].length; index++) if (maps.some(voxels => voxels[index])) found.push(index);
    return found;
  };

  // An empty volume of colours on the grid of a file of labels, given by its header.
  const painting = async (start, voxels) => {
    const colours = new Uint8Array(HEADER_BYTES + 4 * voxels), header = new DataView(colours.buffer);
    colours.set(start);
    for (const [place, value] of [[68, 0], [70, 2304], [72, 32]]) header.setInt16(place, value, true); // no intent, RGBA, 32 bits
    return niivue.NVImage.new(colours.buffer, "labels.nii", "", 1);
  };

  const showModality = async () => {
    const name = control("modality").value, number = shown.modalities.indexOf(name);
    const file = await greys(`viewer-${shown.place}-${number}`, shown);
    const anatomy = await niivue.NVImage.new(file, `${name}.nii`, "gray", 1, null, 0, WHOLE_WINDOW);
    nv.volumes = [anatomy, shown.paint];
    draw(true);
  };

  // Fills first, then outlines: voxels of a region beside one outside it, along the axes of the picture.
  const paint = (axes, solid) => {
    const {shape, maps, voxels, marked, paint: {img}} = shown, steps = [1, shape[0], shape[0] * shape[1]];
    const strength = solid ? 255 : Math.round(2.55 * control("opacity").value);
    const borders = (voxels, index) => axes.some(axis => {
      const along = Math.floor(index / steps[axis]) % shape[axis], inside = labels.inside[voxels[index] - 1];
      const before = along > 0 ? voxels[index - steps[axis]] : 0, after = along < shape[axis] - 1 ? voxels[index + steps[axis]] : 0;
      return !inside.includes(before) || !inside.includes(after);
    });
    const wanted = labels.names.map((_, place) => control(`label-${place + 1}`).checked);
    const tumour = {colours: labels.colours, wanted, strength};
    const errors = {colours: disagreement.colours, wanted: disagreement.names.map(() => true), strength: ERROR_STRENGTH};
    const certain = {colours: uncertainty.colours, wanted: uncertainty.colours.map(() => true), strength: null}; // each of its own
    const looks = {reference: tumour, prediction: tumour, disagreement: errors, uncertainty: certain};
    const layers = maps.filter(name => control(name).checked).map(name => ({
      voxels: voxels[name], ...looks[name], lined: !solid && looks[name] === tumour && control(`${name}-as`).value === "outline",
    })).sort((one, other) => one.lined - other.lined);
    img.fill(0);
    for (const {voxels, colours, wanted, strength, lined} of layers) {
      for (const index of marked) {
        const label = voxels[index];
        if (!label || !wanted[label - 1] || lined && !borders(voxels, index)) continue;
        img.set(colours[label - 1], 4 * index);
        if (strength !== null) img[4 * index + 3] = lined ? 255 : strength;
      }
    }
    // The card mixes neighbours: what lies beside a colour takes that colour, wholly transparent, instead of black.
    for (const index of marked) {
      if (!img[4 * index + 3]) continue;
      for (const step of steps) {
        for (const beside of [index - step, index + step]) {
          if (beside >= 0 && 4 * beside < img.length && !img[4 * beside + 3]) img.copyWithin(4 * beside, 4 * index, 4 * index + 3);
        }
      }
    }
  };

  // What the controls say; the textures of the card are made anew where the volumes or their looks changed.
  const draw = anew => {
    const view = control("plane").value, flat = shown.planes.find(([name]) => name === view);
    if (anew) {
      paint([0, 1, 2].filter(axis => !flat || axis !== flat[1]), view === "render");
      nv.volumes[0].opacity = view === "render" ? HEAD_OPACITY : 1;
      contrast();
      nv.setVolume(nv.volumes[0], 0);
    }
    nv.opts.sliceType = flat ? SLICE_TYPES[AXES[flat[1]]] : view === "render" ? RENDER : PLANES;
    for (const axis of [0, 1, 2]) {
      const through = flat ? flat[1] === axis : view === "planes";
      control(`slice-${axis}`).parentElement.hidden = !through || shown.shape[axis] < 2;
    }
    for (const name of ["turn", "tilt"]) control(name).parentElement.hidden = view !== "render";
    for (const name of ["reference-as", "prediction-as"]) control(name).hidden = view === "render";
    control("opacity").parentElement.hidden = view === "render";
    control("plane").parentElement.hidden = shown.planes.length < 2;
    nv.scene.renderAzimuth = Number(control("turn").value);
    nv.scene.renderElevation = Number(control("tilt").value);
    zoom();
    go(at);
  };

  const contrast = () => {
    const level = Number(control("level").value), half = control("window").value / 2;
    [nv.volumes[0].cal_min, nv.volumes[0].cal_max] = [level - half, level + half];
  };

  // Around the crosshair, so that what is looked at stays where it is.
  const zoom = () => {
    const factor = control("zoom").value / 100, place = nv.frac2mm(nv.vox2frac(at));
    nv.scene.volScaleMultiplier = factor;
    nv.scene.pan2Dxyzmm = [...[0, 1, 2].map(axis => (1 - factor) * place[axis]), factor];
  };

  const go = voxel => {
    nv.scene.crosshairPos = nv.vox2frac(voxel);
    nv.drawScene();
    moved(voxel);
  };

  const moved = voxel => {
    at = voxel.map((value, axis) => Math.min(Math.max(Math.round(value), 0), shown.shape[axis] - 1));
    const [width, height] = shown.shape, index = at[0] + width * (at[1] + height * at[2]);
    const words = MAPS.slice(0, 2).map(name => `${name}: ${["no tumour", ...labels.names][shown.voxels[name][index]]}`);
    if (shown.voxels.uncertainty) words.push(`uncertainty: ${(shown.voxels.uncertainty[index] / uncertainty.colours.length).toFixed(2)} bits`);
    if (shown.step > 1) words.push(`each voxel shown is the mean of ${shown.step} along each axis`);
    const slices = [];
    for (const axis of [2, 1, 0]) {
      const slider = control(`slice-${axis}`), number = at[axis] * slider.step + shown.offset[axis] + 1;
      const name = `${AXES[axis]} slice ${number} of ${shown.whole[axis]}`;
      slider.value = number;
      slider.previousElementSibling.textContent = name[0].toUpperCase() + name.slice(1);
      if (shown.shape[axis] > 1 && sides) slices.push(name);
    }
    where.textContent = [...slices, ...words].join(" · ");
    const overlays = shown.maps.filter(name => control(name).checked).join(", ") || "nothing";
    const view = control("plane").selectedOptions[0].text;
    const name = [shown.name, control("modality").value, view].join(", ");
    canvas.setAttribute("aria-label", `${name}, with ${overlays} laid over. ${where.textContent}`);
  };

  // One picture per frame of the screen, however fast a slider moves.
  let waiting = false;
  const soon = action => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      action();
    });
  };

  const busy = async action => {
    status.textContent = "Reading …";
    box.setAttribute("aria-busy", "true");
    try {
      await action();
      status.textContent = "";
    } catch (error) {
      status.textContent = `The viewer cannot be shown: ${error.message}.`;
    }
    box.removeAttribute("aria-busy");
  };

  options(control("case"), cases.map(({name}, place) => [place, name]));
  control("case").addEventListener("change", () => busy(() => showCase(Number(control("case").value))));
  control("modality").addEventListener("change", () => busy(showModality));
  const looks = ["plane", ...MAPS, "reference-as", "prediction-as", ...labels.names.map((_, place) => `label-${place + 1}`)];
  for (const name of looks) control(name).addEventListener("change", () => draw(true));
  control("opacity").addEventListener("input", () => soon(() => draw(true)));
  for (const name of ["turn", "tilt", "zoom"]) control(name).addEventListener("input", () => soon(() => draw(false)));
  for (const axis of [0, 1, 2]) {
    control(`slice-${axis}`).addEventListener("input", event => soon(() => {
      at[axis] = (event.target.value - event.target.min) / event.target.step;
      go(at);
    }));
  }
  const recontrast = () => {
    contrast();
    nv.refreshLayers(nv.volumes[0], 0);
    nv.drawScene();
  };
  for (const name of ["level", "window"]) control(name).addEventListener("input", () => soon(recontrast));
  control("contrast").addEventListener("click", () => {
    for (const name of ["level", "window"]) control(name).value = control(name).defaultValue;
    recontrast();
  });
  control("full").hidden = !document.fullscreenEnabled;
  control("full").addEventListener("click", () => document.fullscreenElement ? document.exitFullscreen() : box.requestFullscreen());
  document.addEventListener("fullscreenchange", () => {
    control("full").textContent = document.fullscreenElement ? "Leave full screen" : "Full screen";
  });
  control("start").addEventListener("click", () => {
    at = [...shown.start];
    draw(false);
  });
  opener.addEventListener("click", () => busy(async () => {
    const open = panel.hidden;
    panel.hidden = !open;
    if (poster) poster.hidden = open;
    opener.setAttribute("aria-expanded", String(open));
    opener.textContent = open ? "Close the viewer" : "Open the viewer";
    if (!open || nv) return;
    try {
      await start();
      await showCase(0);
    } catch (error) {
      panel.hidden = true;
      if (poster) poster.hidden = false;
      opener.setAttribute("aria-expanded", "false");
      opener.textContent = "Open the viewer";
      throw error;
    }
  }));
  opener.parentElement.hidden = false;
})();
