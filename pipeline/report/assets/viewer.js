// A viewer of one scene with NiiVue: planes and 3D, contrast, zoom, label maps laid over, mouse and keyboard. It fetches
// nothing: a feed gives it the volumes, from the page (embedded_volumes.js) or from a server.
(() => {
  "use strict";
  const {difference, disagreeing, marked, grown, indicesIn, paint, bleed, clear} = window.TumorFlowPainting;
  const AXES = ["sagittal", "coronal", "axial"], SLICE_TYPES = {axial: 0, coronal: 1, sagittal: 2}, PLANES = 3, RENDER = 4;
  const AXIS_OF_TYPE = [2, 1, 0]; // of NiiVue's axial, coronal and sagittal
  const HEADER_BYTES = 352; // of a NIfTI file whose voxels begin behind its header
  const NO_DRAG = 0, RIGHT_BUTTON = 2, WHOLE_WINDOW = 255; // NiiVue's number, the browsers', grey levels
  const HEAD_OPACITY = 0.35, SOLID_SCALE = 1.4; // in 3D, where the tumour shows through; of a head that may turn
  const ERROR_STRENGTH = 225, VEIL_STRENGTH = 12; // of 255: few voxels, which must be seen; what must not hide others
  const CROSSHAIR_MM = 0.4, CROSSHAIR_GAP_MM = 16;
  const layout = (axial, coronal, sagittal) => [axial, coronal, sagittal].map((position, sliceType) => ({sliceType, position}));
  const SIDE_BY_SIDE = layout([0, 0, 0.5, 1], [0.5, 0, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5]); // left, top, width, height
  const UPRIGHT = layout([0, 0, 1, 0.6], [0, 0.6, 0.5, 0.4], [0.5, 0.6, 0.5, 0.4]);
  const FILLED = 0.94; // of the picture, by the head
  const INSET = 5; // pixels between the letters of orientation and the edge
  const SLAB = 16; // slices that go to the card at once
  const ZOOM_STEP = 25, TURN_STEP = 5, FAR = 10; // percent, degrees and slices of a key
  const SHARED = ["modality", "plane", "zoom", "turn", "tilt", "level", "window", "opacity"];

  const capital = text => text[0].toUpperCase() + text.slice(1);

  const made = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    Object.assign(element, attributes);
    element.append(...children);
    return element;
  };

  // A map is spoken of by its title, in small letters where that is its name.
  const spoken = ({name, title = name}) => title.toLowerCase() === name.toLowerCase() ? name : title;

  const mark = (name, [red, green, blue]) => {
    const patch = made("i");
    patch.style.background = `rgb(${red} ${green} ${blue})`;
    return made("span", {className: "viewer-mark"}, patch, name);
  };

  // Runs what may fail; the status of the viewer says what it waits for or why it failed.
  const busy = async (root, action) => {
    const status = root.querySelector(".viewer-status");
    status.textContent = "Reading …";
    root.setAttribute("aria-busy", "true");
    try {
      await action();
      status.textContent = "";
    } catch (error) {
      status.textContent = `The viewer cannot be shown: ${error.message}.`;
    }
    root.removeAttribute("aria-busy");
  };

  // Once per frame of the screen, however fast a slider moves.
  const perFrame = action => {
    let waiting = false;
    return () => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        action();
      });
    };
  };

  const startNiivue = async (canvas, sides) => {
    if (!document.createElement("canvas").getContext("webgl2")) throw new Error("this browser offers no WebGL 2");
    const nv = new niivue.Niivue({
      logLevel: "error", dragAndDropEnabled: false, dragMode: NO_DRAG, clipPlaneHotKey: "", viewModeHotKey: "", cycleClipPlaneHotKey: "",
      scrollRequiresFocus: true, isRadiologicalConvention: true, sagittalNoseLeft: true, isOrientationTextVisible: sides, showAllOrientationMarkers: true,
      isOrientCube: sides, fontColor: [0.9, 0.91, 0.92, 1], crosshairColor: [0.75, 0.78, 0.8, 1], crosshairWidthUnit: "mm",
    });
    nv.keyDownListener = nv.keyUpListener = () => {}; // the keys are ours
    const letters = nv.drawSliceOrientationText.bind(nv); // it would cut them at the edges
    nv.drawSliceOrientationText = ([left, top, width, height], ...more) =>
      letters([left + INSET, top + INSET, width - 2 * INSET, height - 2 * INSET], ...more);
    await nv.attachToCanvas(canvas, true);
    return nv;
  };

  // A volume of 2 x 2 x 2 transparent voxels: NiiVue makes a texture for what is laid over, which we fill ourselves.
  const placeholder = start => {
    const file = new Uint8Array(HEADER_BYTES + 4 * 8), header = new DataView(file.buffer);
    file.set(new Uint8Array(start, 0, HEADER_BYTES));
    for (const [place, value] of [[42, 2], [44, 2], [46, 2], [68, 0], [70, 2304], [72, 32]]) header.setInt16(place, value, true); // RGBA, 32 bits
    return niivue.NVImage.new(file.buffer, "labels.nii", "", 1);
  };

  const rangeOf = voxels => {
    let [low, high] = [255, 0];
    for (const value of voxels) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    return [low, high];
  };

  // [[low x, y, z], [high x, y, z]] around all voxels that are not black, the high ends outside; of a black volume, all of it.
  const headBox = (voxels, shape) => {
    const low = [...shape], high = [0, 0, 0];
    for (let z = 0, index = 0; z < shape[2]; z++) {
      for (let y = 0; y < shape[1]; y++) {
        for (let x = 0; x < shape[0]; x++, index++) {
          if (!voxels[index]) continue;
          if (x < low[0]) low[0] = x;
          if (x >= high[0]) high[0] = x + 1;
          if (y < low[1]) low[1] = y;
          if (y >= high[1]) high[1] = y + 1;
          if (z < low[2]) low[2] = z;
          high[2] = z + 1;
        }
      }
    }
    return high[2] ? [low, high] : [[0, 0, 0], shape];
  };

  // Red, green, blue and opacity in one number for each of 256 grey levels, as NiiVue's shader takes them from a colour map.
  const greyTable = (colours, low, high, opacity) => Uint32Array.from({length: 256}, (_, grey) => {
    const share = (grey - low) / Math.max(1e-5, high - low), place = 256 * (grey > low ? Math.max(share, 2 / 256) : share) - 0.5;
    const bounded = Math.min(Math.max(place, 0), 255), before = Math.floor(bounded), after = Math.min(before + 1, 255);
    const [red, green, blue, alpha] = [0, 1, 2, 3].map(channel =>
      colours[4 * before + channel] + (bounded - before) * (colours[4 * after + channel] - colours[4 * before + channel]));
    return (Math.round(alpha * opacity) << 24 | Math.round(blue) << 16 | Math.round(green) << 8 | Math.round(red)) >>> 0;
  });

  /**
   * Opens a viewer in `root`, which holds the picture of templates/viewer_controls.html.j2 and names in `data-prefix` the
   * prefix of its controls. `niivue` must be loaded.
   *
   * A scene has `name`, `modalities` [{name}], `opened_on`, `maps` [{name, title, as: "fill" or "outline"}] of class indices,
   * `labels` {names, colours, inside}, `planes` [[name, axis]], `shape`, `start` and `sides`; and, where known, `uncertainty`
   * {levels, colours}, `disagreement` {of: [name, name] of two maps, names, colours}, and of a reduced volume `step`, `offset`
   * and `whole` (its voxels' edge and first voxel in the whole volume, and the shape of that).
   *
   * A feed has `modality(name)`, `map(name)` and, if the scene has it, `uncertainty()`: promises of an ArrayBuffer with a NIfTI
   * file, uint8, on canonical axes (RAS+), x fastest, 352 bytes before the voxels.
   *
   * Gives a promise of an object with
   *   voxels(name)  Uint8Array of class indices of a map, live: change it, then repaint
   *   repaint(box)  show changed voxels; box [[low x, y, z], [high x, y, z]] with the high ends outside, or none for all
   *   at(), go(voxel), onMove(f)     the voxel looked at, [i, j, k]; f(voxel) is called after each move
   *   mm(), goMm(place)              the same in mm of the scanner (RAS+)
   *   look(), setLook(look), onLook(f)  values of the controls that linked viewers share; f(look) after a person changed one
   *   voxelAt(clientX, clientY)      {voxel, axis} under a place of the window, axis being across the plane; null outside the slices
   *   plane()       "axial", "coronal", "sagittal", "planes", "render" or what the scene calls its plane
   *   grey()        {voxels, min, max, low, high} of the modality shown: its grey levels, their range, and the ends of the window
   *   show(scene, feed)  another scene in the same viewer, or the same with other maps; scene() is the one shown
   *   focus(), close(), nv (NiiVue), canvas
   */
  const open = async (root, firstScene, firstFeed) => {
    const {prefix} = root.dataset, canvas = root.querySelector("canvas"), where = root.querySelector(".viewer-where");
    const control = name => document.getElementById(`${prefix}-${name}`);
    const listening = new AbortController(), moves = [], looks = [];
    const on = (target, kind, action, more = {}) => target.addEventListener(kind, action, {signal: listening.signal, ...more});
    let scene = null, feed = null, at = [0, 0, 0], voxels = {}, shown = [], img = null, ticks = {}, wanted = [], outlines = {};
    let seen = "", head = null, loading = false;
    const rounds = {scene: 0, modality: 0};

    const nv = await startNiivue(canvas, firstScene.sides);

    const fillSelect = (select, names) => select.replaceChildren(...names.map(([value, text]) => new Option(text, value)));

    const tick = (name, checked, ...words) => {
      const box = made("input", {type: "checkbox", id: `${prefix}-${name}`, checked, autocomplete: "off"});
      on(box, "change", () => changed(true));
      return [made("label", {}, box, " ", ...words), box];
    };

    // Ticks of the maps and labels of a scene; what a person chose for those of the last one stays.
    const makeTicks = () => {
      const kept = {...ticks}, keptLabels = wanted.map(box => box.checked), keptOutlines = outlines, rows = [];
      const state = (name, otherwise) => kept[name] ? kept[name].checked : otherwise;
      [ticks, outlines] = [{}, {}];
      for (const map of scene.maps) {
        const [label, box] = tick(map.name, state(map.name, true), map.title ?? map.name);
        const drawn = made("select", {id: `${prefix}-${map.name}-as`, ariaLabel: `${map.title ?? map.name} drawn`});
        fillSelect(drawn, [["fill", "filled"], ["outline", "outlined"]]);
        drawn.value = keptOutlines[map.name]?.value ?? map.as;
        on(drawn, "change", () => changed(true));
        [ticks[map.name], outlines[map.name]] = [box, drawn];
        rows.push(made("span", {}, label, " ", drawn));
      }
      if (voxels.disagreement) {
        const {names, colours} = scene.disagreement, [label, box] = tick("disagreement", state("disagreement", false), "Disagreement ");
        ticks.disagreement = box;
        rows.push(made("span", {}, label, " ", ...names.map((name, place) => mark(name, colours[place]))));
      }
      if (voxels.uncertainty) {
        const [label, box] = tick("uncertainty", state("uncertainty", false), "Uncertainty (0 to 1 bit) ");
        ticks.uncertainty = box;
        rows.push(made("span", {}, label, " ", made("span", {className: "viewer-ramp", ariaHidden: "true"})));
      }
      control("maps").replaceChildren(...rows);
      const labels = scene.labels.names.map((name, place) =>
        tick(`label-${place + 1}`, keptLabels[place] ?? true, mark(name, scene.labels.colours[place])));
      wanted = labels.map(([, box]) => box);
      control("labels").replaceChildren(...labels.map(([label]) => label));
    };

    // Everything is read before anything changes, so that what is named is always what is seen.
    const show = async (nextScene, nextFeed) => {
      const own = ++rounds.scene, kept = control("modality").value;
      const modality = nextScene.modalities.some(({name}) => name === kept) ? kept : nextScene.opened_on;
      const [file, uncertain, ...files] = await Promise.all([
        nextFeed.modality(modality), nextScene.uncertainty && nextFeed.uncertainty(), ...nextScene.maps.map(({name}) => nextFeed.map(name)),
      ]);
      const anatomy = await niivue.NVImage.new(file, `${modality}.nii`, "gray", 1, null, 0, WHOLE_WINDOW), overlay = await placeholder(file);
      if (own !== rounds.scene) return; // another one was chosen meanwhile
      rounds.modality++;
      const same = scene?.name === nextScene.name && String(scene.shape) === String(nextScene.shape);
      [scene, feed, nv.volumes] = [nextScene, nextFeed, [anatomy, overlay]];
      voxels = Object.fromEntries(scene.maps.map(({name}, place) => [name, new Uint8Array(files[place].slice(HEADER_BYTES))])); // the feed's own stay
      if (scene.disagreement) voxels.disagreement = disagreeing(...compared());
      if (uncertain) voxels.uncertainty = new Uint8Array(uncertain, HEADER_BYTES);
      shown = marked(Object.values(voxels));
      img = new Uint8Array(4 * scene.shape.reduce((one, other) => one * other));
      makeTicks();
      fillSelect(control("modality"), scene.modalities.map(({name}) => [name, name]));
      control("modality").value = seen = modality;
      const views = scene.planes.map(([name]) => [name, capital(name)]), view = control("plane").value;
      if (scene.planes.length > 1) views.push(["planes", "Three planes"], ["render", "3D"]);
      fillSelect(control("plane"), views);
      control("plane").value = views.some(([name]) => name === view) ? view : views[0][0];
      for (const [axis, length] of scene.shape.entries()) {
        const slider = control(`slice-${axis}`);
        slider.min = offset(axis) + 1;
        slider.step = length > 1 ? scene.step ?? 1 : 1;
        slider.max = offset(axis) + 1 + (length - 1) * slider.step;
      }
      if (!same) {
        at = [...scene.start];
        control("zoom").value = 100;
      }
      reload();
      const [low, high] = headBox(anatomy.img, scene.shape);
      head = [voxelMm(low), voxelMm(high.map(end => end - 1))];
      draw(true);
      tell();
    };

    const compared = () => scene.disagreement.of.map(name => voxels[name]);

    const offset = axis => scene.offset?.[axis] ?? 0;

    // NiiVue makes the textures (it would keep the old one of what is laid over), and we fill them: what it draws into them
    // slice by slice, with gradients that nothing here uses, would take more than a second without a graphics card.
    const reload = () => {
      nv.gl.deleteTexture(nv.overlayTexture);
      nv.volumes[0].opacity = opacity();
      contrast();
      loading = true;
      nv.gl.drawArrays = () => {};
      try {
        nv.setVolume(nv.volumes[0], 0);
      } finally {
        delete nv.gl.drawArrays;
        loading = false;
      }
      paintGrey();
    };

    // Another modality has the same grid, so only its voxels change.
    const showModality = async () => {
      const own = ++rounds.modality, chosen = control("modality").value;
      try {
        const file = await feed.modality(chosen);
        if (own !== rounds.modality) return; // another one was chosen meanwhile
        nv.volumes[0].img = new Uint8Array(file, HEADER_BYTES);
        seen = chosen;
      } catch (error) {
        if (own === rounds.modality) control("modality").value = seen;
        throw error;
      }
      paintGrey();
      draw(false);
    };

    const refreshLayers = nv.refreshLayers.bind(nv);
    nv.refreshLayers = (volume, layer) => layer || loading ? refreshLayers(volume, layer) : paintGrey();

    const paintGrey = () => {
      const [{img, cal_min, cal_max, opacity}] = nv.volumes, [width, height, slices] = scene.shape;
      const table = greyTable(nv.colormap("gray"), cal_min, cal_max, opacity), colours = new Uint32Array(width * height * SLAB);
      for (let first = 0; first < slices; first += SLAB) {
        const start = first * width * height, end = Math.min(first + SLAB, slices);
        for (let index = start, place = 0; index < end * width * height; index++, place++) colours[place] = table[img[index]];
        upload(nv.gl.TEXTURE0, nv.volumeTexture, [[0, 0, first], [width, height, end]], new Uint8Array(colours.buffer), [0, 0, 0]);
      }
    };

    // Puts a box of colours into a texture; `skip` is where it starts in the array, whose rows are those of the volume.
    const upload = (unit, texture, [low, high], colours, skip = low) => {
      const {gl} = nv, [width, height] = scene.shape, layout = {
        UNPACK_ALIGNMENT: 4, UNPACK_ROW_LENGTH: width, UNPACK_IMAGE_HEIGHT: height,
        UNPACK_SKIP_PIXELS: skip[0], UNPACK_SKIP_ROWS: skip[1], UNPACK_SKIP_IMAGES: skip[2],
      };
      gl.activeTexture(unit);
      gl.bindTexture(gl.TEXTURE_3D, texture);
      for (const [name, value] of Object.entries(layout)) gl.pixelStorei(gl[name], value);
      gl.texSubImage3D(gl.TEXTURE_3D, 0, ...low, ...high.map((end, axis) => end - low[axis]), gl.RGBA, gl.UNSIGNED_BYTE, colours);
      for (const name of Object.keys(layout)) gl.pixelStorei(gl[name], name === "UNPACK_ALIGNMENT" ? 1 : 0);
    };

    const uploadPaint = box => upload(nv.gl.TEXTURE2, nv.overlayTexture, box, img);

    // Fills first, then outlines. In 3D a label around others lets them show through.
    const layers = () => {
      const solid = control("plane").value === "render", {colours, inside} = scene.labels;
      const tumour = solid
        ? {colours: colours.map((colour, place) => [...colour, inside[place].length > 1 ? VEIL_STRENGTH : 255]), strength: null}
        : {colours, strength: Math.round(2.55 * control("opacity").value)};
      const found = scene.maps.filter(({name}) => ticks[name].checked).map(({name}) => {
        const look = {...tumour, voxels: voxels[name], wanted: wanted.map(box => box.checked), lined: false};
        return solid || outlines[name].value === "fill" ? look : {...look, lined: true, strength: 255};
      });
      const whole = (name, strength) => ({
        voxels: voxels[name], colours: scene[name].colours, wanted: scene[name].colours.map(() => true), strength, lined: false,
      });
      if (ticks.disagreement?.checked) found.push(whole("disagreement", ERROR_STRENGTH));
      if (ticks.uncertainty?.checked) found.push(whole("uncertainty", null));
      return found.sort((one, other) => one.lined - other.lined);
    };

    const painting = () => {
      const across = flat()?.[1];
      return {axes: [0, 1, 2].filter(axis => axis !== across), shape: scene.shape, inside: scene.labels.inside};
    };

    const repaint = box => {
      const {shape} = scene;
      if (box) {
        const own = indicesIn(grown(box, 1, shape), shape), around = indicesIn(grown(box, 2, shape), shape);
        if (voxels.disagreement) {
          const [one, other] = compared();
          for (const index of own) voxels.disagreement[index] = difference(one[index], other[index]);
        }
        clear(img, own);
        paint(img, layers(), own, painting());
        bleed(img, around, shape);
        uploadPaint(grown(box, 3, shape));
        shown = null;
      } else {
        if (voxels.disagreement) voxels.disagreement = disagreeing(...compared());
        shown = null;
        paintAll();
      }
      nv.drawScene();
      say();
    };

    const paintAll = () => {
      shown ??= marked(Object.values(voxels));
      img.fill(0);
      paint(img, layers(), shown, painting());
      bleed(img, shown, scene.shape);
      uploadPaint([[0, 0, 0], scene.shape]);
    };

    const flat = () => scene.planes.find(([name]) => name === control("plane").value);

    // What the controls say; what is laid over is painted anew where its looks changed.
    const draw = anew => {
      const view = control("plane").value, across = flat()?.[1];
      if (nv.volumes[0].opacity !== opacity()) {
        reload();
        anew = true;
      }
      if (anew) paintAll();
      nv.opts.sliceType = flat() ? SLICE_TYPES[AXES[across]] : view === "render" ? RENDER : PLANES;
      layOut();
      for (const axis of [0, 1, 2]) {
        const through = flat() ? across === axis : view === "planes";
        control(`slice-${axis}`).parentElement.hidden = !through || scene.shape[axis] < 2;
      }
      for (const name of ["turn", "tilt"]) control(name).parentElement.hidden = view !== "render";
      for (const drawn of Object.values(outlines)) drawn.hidden = view === "render";
      control("opacity").parentElement.hidden = view === "render";
      control("plane").parentElement.hidden = scene.planes.length < 2;
      nv.scene.renderAzimuth = Number(control("turn").value);
      nv.scene.renderElevation = Number(control("tilt").value);
      zoom();
      pointAt();
    };

    // Of three planes the axial one is the largest.
    const layOut = () => {
      nv.customLayout = control("plane").value === "planes" ? canvas.clientWidth > canvas.clientHeight ? SIDE_BY_SIDE : UPRIGHT : null;
    };

    const opacity = () => control("plane").value === "render" ? HEAD_OPACITY : 1;

    const contrast = () => {
      const level = Number(control("level").value), half = control("window").value / 2;
      [nv.volumes[0].cal_min, nv.volumes[0].cal_max] = [level - half, level + half];
    };

    const recontrast = () => {
      contrast();
      paintGrey();
      nv.drawScene();
    };

    // At 100 % the head fills the picture; zooming keeps what is looked at where it is.
    const zoom = () => {
      const factor = control("zoom").value / 100, across = flat()?.[1], place = mm(), [low, high] = head;
      const first = voxelMm([0, 0, 0]), last = voxelMm(scene.shape.map(length => length - 1));
      const fit = Math.max(1, Math.min(...[0, 1, 2].filter(axis => axis !== across).map(axis =>
        FILLED * (last[axis] - first[axis]) / (high[axis] - low[axis]))));
      const shift = first.map((value, axis) => (value + last[axis] - fit * (low[axis] + high[axis])) / 2);
      nv.scene.volScaleMultiplier = SOLID_SCALE * factor;
      nv.scene.pan2Dxyzmm = [...place.map((value, axis) => factor * shift[axis] + (1 - factor) * (fit * value + shift[axis])), factor * fit];
      nv.opts.crosshairWidth = control("crosshair").checked ? CROSSHAIR_MM / (factor * fit) : 0;
      nv.opts.crosshairGap = CROSSHAIR_GAP_MM / (factor * fit);
      if (nv.crosshairs3D) nv.crosshairs3D.mm[0] = NaN; // NiiVue makes it anew
    };

    const voxelMm = voxel => [...nv.frac2mm(nv.vox2frac(voxel))].slice(0, 3);

    const mm = () => voxelMm(at);

    const goMm = place => go([...nv.frac2vox(nv.mm2frac(place))]);

    const go = voxel => {
      at = inside(voxel);
      pointAt();
      for (const action of moves) action([...at]);
    };

    const pointAt = () => {
      nv.scene.crosshairPos = nv.vox2frac(at);
      nv.drawScene();
      say();
    };

    const inside = voxel => voxel.map((value, axis) => Math.min(Math.max(Math.round(value), 0), scene.shape[axis] - 1));

    const moved = voxel => {
      at = inside(voxel);
      say();
      for (const action of moves) action([...at]);
    };

    // Where one is and what is there, in words.
    const say = () => {
      const [width, height] = scene.shape, index = at[0] + width * (at[1] + height * at[2]), {step = 1} = scene;
      const names = ["no tumour", ...scene.labels.names], words = scene.maps.map(map => `${spoken(map)}: ${names[voxels[map.name][index]]}`);
      if (voxels.uncertainty) words.push(`uncertainty: ${(voxels.uncertainty[index] / scene.uncertainty.levels).toFixed(2)} bits`);
      if (step > 1) words.push(`each voxel shown is the mean of ${step} along each axis`);
      const slices = [];
      for (const axis of [2, 1, 0]) {
        const slider = control(`slice-${axis}`), number = at[axis] * slider.step + offset(axis) + 1;
        const name = `${AXES[axis]} slice ${number} of ${(scene.whole ?? scene.shape)[axis]}`;
        slider.value = number;
        slider.previousElementSibling.textContent = capital(name);
        if (scene.shape[axis] > 1 && scene.sides) slices.push(name);
      }
      where.textContent = control("plane").value === "render" ? "3D: drag it, or use the controls below" : [...slices, ...words].join(" · ");
      const overlays = [...scene.maps.map(map => [map.name, spoken(map)]), ["disagreement", "disagreement"], ["uncertainty", "uncertainty"]]
        .filter(([name]) => ticks[name]?.checked).map(([, word]) => word).join(", ") || "nothing";
      const name = [scene.name, control("modality").value, control("plane").selectedOptions[0].text].join(", ");
      canvas.setAttribute("aria-label", `${name}, with ${overlays} laid over. ${where.textContent}`);
    };

    const look = () => ({
      ...Object.fromEntries(SHARED.map(name => [name, control(name).value])), labels: wanted.map(box => box.checked),
      crosshair: control("crosshair").checked, head,
    });

    const changed = anew => {
      draw(anew);
      tell();
    };

    const tell = () => {
      for (const action of looks) action(look());
    };

    const setLook = async ({labels, crosshair, head: filled, ...values}) => {
      const before = look();
      for (const name of SHARED) {
        const own = control(name);
        if (values[name] !== undefined && (own.tagName !== "SELECT" || [...own.options].some(({value}) => value === values[name]))) {
          own.value = values[name];
        }
      }
      labels?.forEach((checked, place) => wanted[place] && (wanted[place].checked = checked));
      control("crosshair").checked = crosshair ?? before.crosshair;
      head = filled ?? head;
      const after = look(), differs = (...names) => names.some(name => String(before[name]) !== String(after[name]));
      if (differs("level", "window")) recontrast();
      if (differs("plane", "zoom", "turn", "tilt", "opacity", "labels", "crosshair", "head")) draw(differs("plane", "opacity", "labels"));
      if (differs("modality")) await busy(root, showModality);
    };

    const voxelAt = (x, y) => {
      const box = canvas.getBoundingClientRect(), scale = canvas.width / box.width;
      const place = [(x - box.left) * scale, (y - box.top) * scale], tile = nv.tileIndex(...place);
      const axis = AXIS_OF_TYPE[nv.screenSlices[tile]?.axCorSag];
      if (axis === undefined) return null;
      const frac = nv.screenXY2TextureFrac(...place, tile, false);
      return frac.every(value => value >= 0 && value <= 1) ? {voxel: inside([...nv.frac2vox(frac)]), axis} : null;
    };

    const grey = () => {
      const [{img, cal_min, cal_max}] = nv.volumes, [min, max] = rangeOf(img);
      return {voxels: img, min, max, low: cal_min, high: cal_max};
    };

    const slide = (name, by) => {
      control(name).value = Number(control(name).value) + by;
      changed(false);
    };

    const step = (axis, by) => go(at.map((value, own) => own === axis ? value + by : value));

    const turn = by => {
      control("turn").value = (Number(control("turn").value) + by + 360) % 360;
      changed(false);
    };

    const keys = () => {
      const across = flat()?.[1], shared = {
        "+": () => slide("zoom", ZOOM_STEP), "=": () => slide("zoom", ZOOM_STEP), "-": () => slide("zoom", -ZOOM_STEP), Home: () => toStart(),
      };
      if (across !== undefined) {
        return {
          ...shared, ArrowUp: () => step(across, 1), ArrowRight: () => step(across, 1), PageUp: () => step(across, FAR),
          ArrowDown: () => step(across, -1), ArrowLeft: () => step(across, -1), PageDown: () => step(across, -FAR),
        };
      }
      if (control("plane").value === "render") {
        return {
          ...shared, ArrowLeft: () => turn(-TURN_STEP), ArrowRight: () => turn(TURN_STEP),
          ArrowUp: () => slide("tilt", TURN_STEP), ArrowDown: () => slide("tilt", -TURN_STEP),
        };
      }
      return { // x grows to the patient's right, which is the picture's left
        ...shared, ArrowUp: () => step(2, 1), ArrowDown: () => step(2, -1), ArrowLeft: () => step(0, 1), ArrowRight: () => step(0, -1),
        PageUp: () => step(1, 1), PageDown: () => step(1, -1),
      };
    };

    const toStart = () => {
      at = [...scene.start];
      changed(false);
      go(at);
    };

    nv.onLocationChange = place => moved([...place.vox]);
    nv.onAzimuthElevationChange = (azimuth, elevation) => {
      control("turn").value = (azimuth % 360 + 360) % 360;
      control("tilt").value = elevation;
      tell();
    };
    // Wheel and fingers scroll the page, and not the slices, until the reader has clicked the picture.
    for (const kind of ["wheel", "touchstart", "touchmove", "touchend"]) {
      const leave = event => event.target === canvas && document.activeElement !== canvas && event.stopPropagation();
      on(root, kind, leave, {capture: true, passive: true});
    }
    on(canvas, "keydown", event => {
      const action = event.ctrlKey || event.metaKey || event.altKey ? null : keys()[event.key];
      if (!action || event.defaultPrevented) return;
      event.preventDefault();
      action();
    });
    on(control("modality"), "change", () => busy(root, showModality).then(tell));
    on(control("plane"), "change", () => changed(true));
    on(control("crosshair"), "change", () => changed(false));
    const resized = new ResizeObserver(perFrame(() => {
      layOut();
      nv.drawScene();
    }));
    resized.observe(canvas);
    const overlaid = perFrame(() => changed(true)), turned = perFrame(() => changed(false));
    on(control("opacity"), "input", overlaid);
    for (const name of ["turn", "tilt", "zoom"]) on(control(name), "input", turned);
    for (const axis of [0, 1, 2]) {
      const slider = control(`slice-${axis}`), slid = perFrame(() => step(axis, (slider.value - slider.min) / slider.step - at[axis]));
      on(slider, "input", slid);
    }
    const windowed = () => {
      recontrast();
      tell();
    };
    const rewindowed = perFrame(windowed);
    for (const name of ["level", "window"]) on(control(name), "input", rewindowed);
    on(canvas, "pointermove", event => { // to the right a wider window, upwards a higher level
      if (!(event.buttons & RIGHT_BUTTON)) return;
      for (const [name, moved] of [["window", event.movementX], ["level", -event.movementY]]) control(name).value = Number(control(name).value) + moved;
      rewindowed();
    });
    on(control("contrast"), "click", () => {
      for (const name of ["level", "window"]) control(name).value = control(name).defaultValue;
      windowed();
    });
    control("full").hidden = !document.fullscreenEnabled;
    const filling = root.closest(".viewer-linked") ?? root;
    on(control("full"), "click", () => document.fullscreenElement ? document.exitFullscreen() : filling.requestFullscreen());
    on(document, "fullscreenchange", () => {
      control("full").textContent = document.fullscreenElement === filling ? "Leave full screen" : "Full screen";
    });
    on(control("start"), "click", toStart);

    const close = () => {
      listening.abort();
      resized.disconnect();
      nv.cleanup();
      nv.gl.getExtension("WEBGL_lose_context")?.loseContext();
      canvas.replaceWith(canvas.cloneNode(true)); // the next viewer needs one with a context of its own
    };

    try {
      await show(firstScene, firstFeed);
    } catch (error) {
      close();
      throw error;
    }
    return {
      voxels: name => voxels[name], repaint, at: () => [...at], go, onMove: action => moves.push(action), mm, goMm,
      look, setLook, onLook: action => looks.push(action), voxelAt, plane: () => control("plane").value, grey,
      show, scene: () => scene, focus: () => canvas.focus(), close, nv, canvas,
    };
  };

  /** Linked viewers look at the same place in mm, in the same plane, with the same zoom, contrast and labels. */
  const link = (...viewers) => {
    let following = false;
    const others = (own, action) => {
      if (following) return;
      following = true;
      for (const viewer of viewers) if (viewer !== own) action(viewer);
      following = false;
    };
    for (const viewer of viewers) {
      viewer.onMove(() => others(viewer, other => other.goMm(viewer.mm())));
      viewer.onLook(look => others(viewer, other => other.setLook(look)));
    }
    const [first] = viewers;
    others(first, other => other.setLook(first.look()));
    others(first, other => other.goMm(first.mm()));
  };

  window.TumorFlowViewer = {open, link, busy};
})();
