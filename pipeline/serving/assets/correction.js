// Corrects the labels of a case in its viewer: the tools of templates/correction.html.j2, mouse, pen, touch and keyboard.
import {ask} from "./api.js";
import * as drafts from "./correction_draft.js";
import {Session, TOOLS} from "./correction_session.js";
import {fingerprint, joined, statistics} from "./correction_shapes.js";
import {sceneAt} from "./scene.js";

const HEADER_BYTES = 352; // of a NIfTI file whose voxels begin behind its header
const MANY = 300_000; // voxels from which the viewer paints all it shows instead of a box
const IDLE_S = 30; // after which a reader is not working
const PAUSE_MS = 700; // after a change, before it is counted and kept
const READER = "tumorflow-reader";
const RADIUS_STEP = 0.5, FAR = 10, FINGER_PIXELS = 14; // mm; slices; of a move by a slice with two fingers
const IN_PLANE = [[1, 2], [0, 2], [0, 1]]; // axes to the left and up in the plane across each axis
const ARROWS = {ArrowLeft: [0, 1], ArrowRight: [0, -1], ArrowUp: [1, 1], ArrowDown: [1, -1]};
const EARLIER = {"this case": "an earlier segmentation", "the same files": "the same files, dropped before,"};
const SLIDERS = ["radius", "tolerance", "reach"];
const FOR_KEYS = {b: "brush", e: "eraser", g: "grow", i: "island", v: "navigate"};

const part = name => document.getElementById(`correction-${name}`);

const made = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  Object.assign(element, attributes);
  element.append(...children);
  return element;
};

const time = value => new Date(value).toLocaleString([], {dateStyle: "medium", timeStyle: "short"});

/**
 * Offers the correction of a case that is done.
 *
 * `viewer` is what openScene gave for the element `root` and the scene at `address`; `id` is that of the case. The page holds
 * templates/correction.html.j2 once. Gives a function that ends the offer, to be called before the viewer is closed.
 */
export const offerCorrection = async (viewer, root, address, id) => {
  const section = document.getElementById("correction"), tools = document.getElementById("correction-tools");
  const screen = root.querySelector(".viewer-screen"), {canvas} = viewer, ring = made("div", {className: "correction-ring", hidden: true});
  const working = {seconds: 0, last: 0}; // seconds of work, and when the reader last did something
  let session = null, about = await ask(`/api/cases/${id}/correction`), saved = true, axis = 2, held = false, box = null, waiting = 0, pointer = null;
  const fingers = new Map(), listening = new AbortController();
  const on = (target, kind, action, more = {}) => target.addEventListener(kind, action, {signal: listening.signal, ...more});
  let dragged = null, hovered = null, keeping = null, basis = 0, edits = 0; // basis: fingerprint of the predicted file
  screen.append(ring);
  root.querySelector(".viewer-head").append(tools);

  const say = words => {
    part("status").textContent = words ?? "";
  };

  // What is known of the correction that is stored.
  const tell = () => {
    const {version, earlier, regions = [], volumes_ml: volumes} = about;
    const by = one => `by ${one.reader}, ${time(one.corrected)}${one.version > 1 ? `, version ${one.version}` : ""}`;
    part("about").textContent = version ? `Corrected ${by(about)}.` : earlier
      ? `The labels are as predicted. A correction ${by(earlier)}, of ${EARLIER[earlier.of]}${earlier.other_series ? " by other series" : ""} is kept for training as ${earlier.case}; the next one replaces it.`
      : "The labels are as predicted.";
    document.getElementById("files-title").textContent = version ? "Download, as predicted" : "Download";
    part("start").textContent = version ? "Correct them again" : "Correct the labels";
    part("result").hidden = !version;
    part("volumes").replaceChildren(...regions.map(name => made("tr", {},
      made("th", {scope: "row", textContent: name}), ...[volumes.prediction, volumes.correction].map(own => made("td", {textContent: own[name].toFixed(2)})))));
    const files = (about.files ?? []).map(({name, title}) => made("li", {},
      made("a", {href: `/api/cases/${id}/correction/${encodeURIComponent(name)}`, download: "", textContent: title})));
    if (about.refused) files.push(made("li", {className: "lacking"}, "No DICOM SEG", made("small", {textContent: about.refused})));
    part("files").replaceChildren(...files);
  };

  const tellDraft = async () => {
    const draft = await drafts.find(id).catch(() => null);
    part("draft").hidden = part("discard").hidden = !draft;
    if (draft) part("draft").textContent = `Unsaved changes of ${time(draft.at)} are kept in this browser.`;
    return draft;
  };

  const flat = () => viewer.scene().planes.find(([name]) => name === viewer.plane())?.[1];
  const across = () => flat() ?? axis;
  const painting = () => session && !held && session.tool !== "navigate" && viewer.plane() !== "render";

  // Counts the time between two actions, unless the reader was away.
  const worked = () => {
    const now = performance.now() / 1000;
    if (now - working.last < IDLE_S) working.seconds += now - working.last;
    working.last = now;
  };

  const changed = own => {
    const frame = !box;
    box = joined(box, own);
    if (frame) requestAnimationFrame(show);
  };

  const show = () => {
    const size = box && box[1].reduce((product, high, own) => product * (high - box[0][own]), 1), own = box;
    box = null;
    if (session && own) viewer.repaint(size > MANY ? undefined : own);
  };

  const count = () => {
    const {spacing_mm: edges, labels} = viewer.scene(), ml = edges.reduce((product, edge) => product * edge, 1) / 1000;
    const rows = statistics(session.voxels, session.prediction, labels.names.length).map(({added, removed}, place) =>
      added || removed ? `${labels.names[place]} +${(added * ml).toFixed(2)} −${(removed * ml).toFixed(2)}` : "").filter(Boolean);
    part("changes").textContent = rows.length ? `Changed, in ml: ${rows.join(" · ")}.` : "Nothing is changed.";
  };

  // After each step: what can be undone, how much is changed, and the unsaved work kept for a reload.
  const stepped = () => {
    saved = false;
    edits++;
    steps();
    clearTimeout(waiting);
    waiting = setTimeout(keep, PAUSE_MS);
  };

  const keep = () => {
    count();
    if (saved) return;
    const facts = {base: about.version, prediction: basis, seconds: working.seconds, at: new Date().toISOString()};
    keeping = drafts.keep(id, session.voxels, facts).catch(() => say("This browser keeps no unsaved work: save before you leave the page."));
  };

  const steps = () => {
    part("undo").disabled = !session.history.canUndo && !session.growth;
    part("redo").disabled = !session.history.canRedo;
  };

  const start = async () => {
    const {scene, feed} = await sceneAt(address), at = viewer.at(), draft = await tellDraft();
    const prediction = await feed.map("prediction"), begun = about.version ? await feed.map("correction") : prediction, own = begun.slice(0);
    const voxels = new Uint8Array(own, HEADER_BYTES), predicted = new Uint8Array(prediction, HEADER_BYTES);
    basis = fingerprint(new Uint8Array(prediction));
    const fits = draft?.prediction === basis && draft.voxels.length === voxels.length;
    if (fits) voxels.set(draft.voxels);
    const maps = [{name: "correction", title: "Correction", as: "fill"}, {name: "prediction", title: "Prediction", as: "outline"}];
    const drawn = document.getElementById(`${root.dataset.prefix}-prediction-as`);
    if (drawn) drawn.value = "outline"; // the viewer keeps what was chosen
    await viewer.show({...scene, maps, disagreement: scene.changes}, {...feed, map: async name => name === "correction" ? own : prediction});
    viewer.go(at);
    session = new Session({
      voxels: viewer.voxels("correction"), prediction: predicted, grey: viewer.grey, shape: scene.shape, spacing: scene.spacing_mm, changed,
    });
    [saved, working.seconds, working.last] = [!fits, fits ? draft.seconds : 0, performance.now() / 1000];
    part("start").parentElement.hidden = true;
    tools.hidden = false;
    screen.classList.add("correcting");
    fillControls(scene.labels);
    settings();
    count();
    steps();
    const meanwhile = fits && draft.base < about.version ? ` Meanwhile version ${about.version} was saved; yours will be the next one.` : "";
    say(fits ? `The unsaved changes of ${time(draft.at)} are restored.${meanwhile}` : "");
    choose("brush");
    tools.parentElement.parentElement.scrollIntoView({block: "start", behavior: "instant"}); // its head, being sticky, is always in view
    canvas.focus({preventScroll: true});
  };

  const close = async () => {
    session.settle();
    clearTimeout(waiting);
    keep();
    await keeping;
    session = null;
    tell();
    await tellDraft();
    tools.hidden = ring.hidden = true;
    screen.classList.remove("correcting");
    const {scene, feed} = await sceneAt(address), at = viewer.at();
    await viewer.show(scene, feed);
    viewer.go(at);
    part("start").parentElement.hidden = false;
    part("start").focus();
  };

  const fillControls = ({names, colours}) => {
    part("labels").replaceChildren(...names.map((name, place) => {
      const patch = made("i"), button = made("button", {type: "button"}, patch, name, " ", made("kbd", {textContent: place + 1}));
      patch.style.background = `rgb(${colours[place].join(" ")})`;
      on(button, "click", () => label(place + 1));
      return button;
    }));
    part("over").replaceChildren(new Option("any voxel", ""), new Option("background alone", 0), ...names.map((name, place) => new Option(`${name} alone`, place + 1)));
    label(1);
  };

  const label = number => {
    if (number > part("labels").children.length) return;
    session.label = number;
    [...part("labels").children].forEach((button, place) => button.setAttribute("aria-pressed", String(place + 1 === number)));
    if (session.growth) say(session.regrow());
  };

  // What the controls say; a growth that waits is done again by them.
  const settings = () => {
    for (const name of SLIDERS) part(name).nextElementSibling.textContent = session[name] = Number(part(name).value);
    for (const name of ["ball", "deep"]) session[name] = part(name).checked;
    session.over = part("over").value === "" ? null : Number(part("over").value);
    circle();
    if (session.growth) say(session.regrow());
  };

  const choose = tool => {
    if (session.settle()) stepped();
    session.tool = tool;
    for (const button of tools.querySelectorAll("[data-tool]")) button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
    for (const row of tools.querySelectorAll("[data-for]")) row.hidden = !row.dataset.for.split(" ").includes(tool);
    screen.dataset.tool = tool;
    circle();
  };

  // The circle of the brush, in the size that the picture has there.
  const circle = () => {
    const there = hovered && painting() && /brush|eraser/.test(session.tool) && viewer.voxelAt(hovered.x, hovered.y);
    ring.hidden = !there;
    if (!there) return;
    axis = there.axis;
    const {left, top, width} = canvas.getBoundingClientRect(), scale = canvas.width / width, {shape, spacing_mm: edges} = viewer.scene();
    const [x, y] = [(hovered.x - left) * scale, (hovered.y - top) * scale], tile = viewer.nv.tileIndex(x, y), away = 20;
    const [one, other] = [x, x + away].map(place => viewer.nv.screenXY2TextureFrac(place, y, tile, false));
    const mm = Math.hypot(...[0, 1, 2].map(own => (other[own] - one[own]) * shape[own] * edges[own])) / away * scale;
    const size = 2 * Math.max(session.radius, edges[IN_PLANE[axis][0]] / 2) / mm;
    Object.assign(ring.style, {width: `${size}px`, height: `${size}px`, left: `${hovered.x - left}px`, top: `${hovered.y - top}px`});
  };

  const set = (name, value) => {
    part(name).value = value;
    part(name).dispatchEvent(new Event("input"));
  };

  const fingersMove = () => {
    const y = [...fingers.values()].reduce((sum, own) => sum + own, 0) / fingers.size, slices = Math.trunc((dragged - y) / FINGER_PIXELS);
    if (!slices) return;
    dragged -= slices * FINGER_PIXELS;
    step(across(), slices);
  };

  const step = (along, by) => viewer.go(viewer.at().map((value, own) => own === along ? value + by : value));

  const down = event => {
    if (event.pointerType === "touch") fingers.set(event.pointerId, event.clientY);
    if (!painting()) return;
    if (fingers.size > 1) {
      session.cancel();
      [pointer, dragged] = [null, [...fingers.values()].reduce((sum, own) => sum + own, 0) / fingers.size];
      event.preventDefault();
      return;
    }
    if (event.button !== 0) return;
    const hit = viewer.voxelAt(event.clientX, event.clientY);
    event.preventDefault();
    event.stopPropagation();
    canvas.focus();
    if (!hit) return;
    worked();
    axis = hit.axis;
    say(session.press(hit.voxel, hit.axis));
    if (!session.stroke) return ended();
    pointer = event.pointerId;
    canvas.setPointerCapture(pointer);
  };

  const move = event => {
    if (fingers.has(event.pointerId)) fingers.set(event.pointerId, event.clientY);
    if (dragged !== null) return fingersMove();
    hovered = event.pointerType === "touch" ? null : {x: event.clientX, y: event.clientY};
    if (session) circle();
    if (pointer !== event.pointerId || !session?.stroke) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const own of events.length ? events : [event]) {
      const hit = viewer.voxelAt(own.clientX, own.clientY), {stroke} = session;
      session.move(hit?.axis === stroke.across ? hit.voxel : null);
    }
  };

  const up = event => {
    fingers.delete(event.pointerId);
    if (!fingers.size) dragged = null;
    if (pointer !== event.pointerId) return;
    pointer = null;
    worked();
    if (session?.release()) stepped();
  };

  // A growth waits for its settings, all else is a step.
  const ended = () => session.growth ? steps() : stepped();

  const run = action => {
    worked();
    say(action());
    stepped();
  };

  const use = () => {
    if (session.growth) {
      session.settle();
      say("");
      return stepped();
    }
    worked();
    say(session.press(viewer.at(), across()));
    if (session.stroke) session.release();
    ended();
  };

  const arrow = ([side, by], draws) => {
    const before = viewer.at();
    step(IN_PLANE[across()][side], by);
    if (!draws || !/brush|eraser/.test(session.tool)) return;
    worked();
    session.press(before, across());
    session.move(viewer.at());
    session.release();
    stepped();
  };

  const escape = () => {
    if (session.cancel()) say("");
    else choose("navigate");
    steps();
  };

  const actions = {
    fill: () => run(() => session.fill(viewer.at()[across()], across())),
    undo: () => run(() => session.undo() ? "" : "There is nothing to undo."),
    redo: () => run(() => session.redo() ? "" : "There is nothing to do again."),
    largest: () => run(() => session.keepLargest()),
    restore: () => run(() => session.restore()),
    save: () => ask4Name(),
    close,
  };

  const pressed = event => {
    const {key} = event, letter = key.toLowerCase(), command = event.ctrlKey || event.metaKey;
    if (command && !event.altKey && "zy".includes(letter)) return letter === "y" || event.shiftKey ? actions.redo : actions.undo;
    if (command && letter === "s") return actions.save;
    if (command || event.altKey) return null;
    if (FOR_KEYS[letter]) return () => choose(FOR_KEYS[letter]);
    if (letter === "f") return actions.fill;
    if (letter === "h") return () => document.getElementById(`${root.dataset.prefix}-correction`).click();
    if (key === "[" || key === "]") return () => set("radius", session.radius + (key === "]" ? 1 : -1) * RADIUS_STEP);
    if (/^[1-9]$/.test(key)) return () => label(Number(key));
    if (event.target !== canvas) return null;
    if (key === " ") return () => hold(true);
    if (key === "Escape") return escape;
    if (!painting()) return null;
    if (key === "Enter") return use;
    if (ARROWS[key]) return () => arrow(ARROWS[key], event.shiftKey);
    if (key === "PageUp" || key === "PageDown") return () => step(across(), (key === "PageUp" ? 1 : -1) * (event.shiftKey ? FAR : 1));
    return null;
  };

  const hold = now => {
    held = now;
    screen.classList.toggle("held", held);
    if (session) circle();
  };

  const ask4Name = () => {
    if (session.settle()) stepped();
    part("reader").value = localStorage.getItem(READER) ?? "";
    part("patient").value = "";
    part("patient").closest("p").hidden = !about.asks_patient;
    part("problem").textContent = "";
    part("dialog").showModal();
  };

  const store = async () => {
    const reader = part("reader").value.trim(), asked = new URLSearchParams({reader, prediction: basis, seconds: working.seconds.toFixed(1)});
    if (about.asks_patient) asked.set("patient", part("patient").value.trim());
    localStorage.setItem(READER, reader);
    part("store").disabled = true;
    part("problem").textContent = "Saving …";
    clearTimeout(waiting);
    try {
      const before = about.version || (about.earlier?.version ?? 0), sent = edits, body = new Blob([session.voxels]);
      const stored = await ask(`/api/cases/${id}/corrections?${asked}`, {method: "POST", body});
      if (!stored.unshown) about = stored;
      working.seconds = 0;
      if (sent === edits) { // what was drawn meanwhile stays unsaved
        saved = true;
        await keeping;
        await drafts.forget(id).catch(() => {});
      } else if (session) keep();
      part("dialog").close();
      const others = stored.version > before + 1 ? ` Another correction was saved meanwhile; it is kept as version ${stored.version - 1}.` : "";
      const other = stored.other_images ? " It replaces the version before, which had other series; that one is kept with its images." : "";
      const of = stored.other_case ? ` of ${stored.case}` : "";
      say(stored.unshown ?? `Saved as version ${stored.version}${of}.${others}${other}`);
      tell();
    } catch (error) {
      part("problem").textContent = `Not saved: ${error.message}`;
    }
    part("store").disabled = false;
  };

  const quiet = event => painting() && (event.type !== "mousedown" || event.button === 0) && event.target === canvas;

  for (const [kind, action] of [["pointerdown", down], ["pointermove", move], ["pointerup", up], ["pointercancel", up]]) {
    on(screen, kind, action, {capture: true});
  }
  // NiiVue listens to mouse and touch; while a tool is in the hand, it shall not.
  for (const kind of ["mousedown", "touchstart", "touchmove", "touchend"]) {
    on(screen, kind, event => {
      if (!quiet(event)) return;
      event.stopPropagation();
      if (event.cancelable) event.preventDefault();
    }, {capture: true, passive: false});
  }
  on(screen, "pointerleave", () => {
    hovered = null;
    ring.hidden = true;
  });
  on(screen, "wheel", event => {
    if (!painting() || !event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    set("radius", session.radius + (event.deltaY < 0 ? 1 : -1) * RADIUS_STEP);
  }, {capture: true, passive: false});
  on(root, "keydown", event => {
    const typing = /INPUT|SELECT|TEXTAREA/.test(event.target.tagName) && !event.ctrlKey && !event.metaKey;
    const action = session && !typing && !event.defaultPrevented ? pressed(event) : null;
    if (!action) return;
    event.preventDefault();
    action();
  }, {capture: true});
  on(root, "keyup", event => event.key === " " && hold(false));
  on(canvas, "blur", () => hold(false));
  for (const tool of TOOLS) {
    on(tools.querySelector(`[data-tool=${tool}]`), "click", event => {
      choose(tool);
      if (event.detail) canvas.focus(); // after a click, not after a key
    });
  }
  for (const [name, action] of Object.entries(actions)) on(part(name), "click", action);
  for (const name of [...SLIDERS, "ball", "deep", "over"]) on(part(name), "input", settings);
  on(part("start"), "click", () => window.TumorFlowViewer.busy(root, start));
  on(part("discard"), "click", async () => {
    await drafts.forget(id);
    await tellDraft();
    part("start").focus();
  });
  on(part("form"), "submit", event => {
    event.preventDefault();
    store();
  });
  on(part("back"), "click", () => part("dialog").close());
  on(window, "beforeunload", event => session && !saved && event.preventDefault());

  tell();
  await tellDraft();
  section.hidden = part("start").parentElement.hidden = false;
  const cases = await ask("/api/cases");
  await drafts.forgetOthers(cases.map(one => one.id)).catch(() => {});

  /** Ends the offer with its viewer. */
  return () => {
    if (session?.settle()) stepped();
    clearTimeout(waiting);
    if (session) keep();
    session = null;
    listening.abort();
    ring.remove();
    screen.classList.remove("correcting");
    section.hidden = tools.hidden = true;
  };
};
