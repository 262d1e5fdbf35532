// Shows the volumes that the page holds with NiiVue, once the reader opens the viewer. Nothing is fetched.
(() => {
  "use strict";
  const box = document.querySelector(".viewer");
  const {cases, labels, disagreement, sides} = JSON.parse(document.getElementById("viewer-description").textContent);
  const control = name => document.getElementById(`viewer-${name}`);
  const opener = box.querySelector(".viewer-open"), panel = control("panel"), canvas = box.querySelector("canvas");
  const status = box.querySelector(".viewer-status"), where = box.querySelector(".viewer-where");
  const AXES = ["sagittal", "coronal", "axial"], SLICE_TYPES = {axial: 0, coronal: 1, sagittal: 2}, PLANES = 3, RENDER = 4;
  const HEADER_BYTES = 352; // of a NIfTI file whose voxels begin behind its header
  const MAPS = ["reference", "prediction", "disagreement"];
  const HEAD_OPACITY = 0.35; // in 3D, where the tumour shows through
  const ERROR_STRENGTH = 225; // of 255: few voxels, which must be seen
  let nv = null, shown = null, at = [0, 0, 0];

  const unpacked = async id => {
    const packed = Uint8Array.from(atob(document.getElementById(id).textContent), letter => letter.charCodeAt(0));
    return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
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
      logLevel: "error", dragAndDropEnabled: false, dragMode: 0, clipPlaneHotKey: "", viewModeHotKey: "", cycleClipPlaneHotKey: "",
      scrollRequiresFocus: true, isRadiologicalConvention: true, sagittalNoseLeft: true, isOrientationTextVisible: sides,
      fontColor: [0.9, 0.91, 0.92, 1], crosshairColor: [0.75, 0.78, 0.8, 1], crosshairWidth: 0.4, crosshairWidthUnit: "mm",
      crosshairGap: 16, multiplanarShowRender: 0, tileMargin: 4,
    });
    await nv.attachToCanvas(canvas, true);
    canvas.tabIndex = -1; // every movement has a control of its own, so the keyboard need not stop here
    nv.onLocationChange = place => moved([...place.vox]);
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
    control("modality").value = one.modalities.includes(kept) ? kept : one.telling;
    const views = one.planes.map(([name]) => [name, name[0].toUpperCase() + name.slice(1)]);
    if (one.planes.length > 1) views.push(["planes", "Three planes"], ["render", "3D"]);
    const view = control("plane").value;
    options(control("plane"), views);
    control("plane").value = views.some(([name]) => name === view) ? view : views[0][0];
    const files = await Promise.all(MAPS.map((_, number) => unpacked(`viewer-${place}-${one.modalities.length + number}`)));
    const maps = files.map(file => new Uint8Array(file, HEADER_BYTES));
    shown = {...one, place, maps, marked: marked(maps), paint: await painting(files[0], maps[0].length)};
    for (const [axis, length] of one.shape.entries()) {
      const slider = control(`slice-${axis}`);
      slider.min = one.offset[axis] + 1;
      slider.max = one.offset[axis] + length;
    }
    at = [...one.start];
    control("zoom").value = 100;
    await showModality();
  };

  // Indices of the voxels that any map marks: few, so that painting is quick.
  const marked = maps => {
    const found = [];
    for (let index = 0; index < maps[0].length; index++) if (maps.some(voxels => voxels[index])) found.push(index);
    return found;
  };

  // An empty volume of colours on the grid of a file of labels.
  const painting = async (file, voxels) => {
    const colours = new Uint8Array(HEADER_BYTES + 4 * voxels), header = new DataView(colours.buffer);
    colours.set(new Uint8Array(file, 0, HEADER_BYTES));
    for (const [place, value] of [[68, 0], [70, 2304], [72, 32]]) header.setInt16(place, value, true); // no intent, RGBA, 32 bits
    return niivue.NVImage.new(colours.buffer, "labels.nii", "", 1);
  };

  const showModality = async () => {
    const name = control("modality").value, number = shown.modalities.indexOf(name);
    const anatomy = await niivue.NVImage.new(await unpacked(`viewer-${shown.place}-${number}`), `${name}.nii`, "gray", 1, null, 0, 255);
    nv.volumes = [anatomy, shown.paint];
    draw(true);
  };

  // Fills first, then outlines: voxels of a region beside one outside it, along the axes of the picture.
  const paint = (axes, solid) => {
    const {shape, maps, marked, paint: {img}} = shown, steps = [1, shape[0], shape[0] * shape[1]];
    const strength = solid ? 255 : Math.round(2.55 * control("opacity").value);
    const borders = (voxels, index) => axes.some(axis => {
      const along = Math.floor(index / steps[axis]) % shape[axis], inside = labels.inside[voxels[index] - 1];
      const before = along > 0 ? voxels[index - steps[axis]] : 0, after = along < shape[axis] - 1 ? voxels[index + steps[axis]] : 0;
      return !inside.includes(before) || !inside.includes(after);
    });
    const wanted = labels.names.map((_, place) => control(`label-${place + 1}`).checked);
    const tumour = {colours: labels.colours, wanted, strength};
    const errors = {colours: disagreement.colours, wanted: disagreement.names.map(() => true), strength: ERROR_STRENGTH};
    const layers = MAPS.map((name, place) => ({
      voxels: maps[place], ticked: control(name).checked, ...(place === 2 ? errors : tumour),
      lined: !solid && place < 2 && control(`${name}-as`).value === "outline",
    })).filter(layer => layer.ticked).sort((one, other) => one.lined - other.lined);
    img.fill(0);
    for (const {voxels, colours, wanted, strength, lined} of layers) {
      for (const index of marked) {
        const label = voxels[index];
        if (!label || !wanted[label - 1] || lined && !borders(voxels, index)) continue;
        img.set(colours[label - 1], 4 * index);
        img[4 * index + 3] = lined ? 255 : strength;
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
    const words = MAPS.slice(0, 2).map((name, place) => `${name}: ${["no tumour", ...labels.names][shown.maps[place][index]]}`);
    const slices = [];
    for (const axis of [2, 1, 0]) {
      const number = at[axis] + shown.offset[axis] + 1, slider = control(`slice-${axis}`);
      const name = `${AXES[axis]} slice ${number} of ${shown.whole[axis]}`;
      slider.value = number;
      slider.previousElementSibling.textContent = name[0].toUpperCase() + name.slice(1);
      if (shown.shape[axis] > 1 && sides) slices.push(name);
    }
    where.textContent = [...slices, ...words].join(" · ");
    const overlays = MAPS.filter(name => control(name).checked).join(", ") || "nothing";
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
      at[axis] = event.target.value - shown.offset[axis] - 1;
      go(at);
    }));
  }
  control("start").addEventListener("click", () => {
    at = [...shown.start];
    draw(false);
  });
  opener.addEventListener("click", () => busy(async () => {
    const open = panel.hidden;
    panel.hidden = !open;
    opener.setAttribute("aria-expanded", String(open));
    opener.textContent = open ? "Close the viewer" : "Open the viewer";
    if (!open || nv) return;
    try {
      await start();
      await showCase(0);
    } catch (error) {
      panel.hidden = true;
      throw error;
    }
  }));
  opener.parentElement.hidden = false;
})();
