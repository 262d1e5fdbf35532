// A reader's work on one label map: tools, strokes, steps. No page: it is given voxels and calls `changed(box)`.
import {History} from "./correction_history.js";
import {brushOf, fillBetween, grow, indexOf, joined, keepLargest, line, pairAround, removePiece, slicesWith, stamp, wholeBox} from "./correction_shapes.js";

const BACKGROUND = 0, BESIDE = 1; // voxels to either side whose grey levels the range of a growth is around

const inVoxels = count => `${count} voxel${count === 1 ? "" : "s"}`;

export const TOOLS = ["navigate", "brush", "eraser", "grow", "island"];

export class Session {
  /**
   * `voxels` are the labels that are corrected, `prediction` those to begin from; `grey()` gives {voxels} of the modality
   * looked at.
   */
  constructor({voxels, prediction, grey, shape, spacing, changed}) {
    Object.assign(this, {voxels, prediction, grey, shape, spacing, changed});
    Object.assign(this, {tool: "brush", label: 1, radius: 4, ball: false, over: null, tolerance: 20, reach: 15, deep: true});
    this.history = new History(voxels, shape);
    this.drawn = [];
    this.stroke = this.growth = null;
  }

  /** Begins what the tool does at a voxel, in the plane across an axis; words for the reader, or nothing. */
  press(voxel, across) {
    this.settle();
    if (this.tool === "grow") return this.#beginGrowth(voxel, across);
    if (this.tool === "island") return this.#removed(removePiece(this.voxels, this.shape, voxel, this.over || null));
    const brush = brushOf(this.radius, this.spacing, this.ball ? null : across);
    this.stroke = {brush, across, last: voxel, box: null, slice: voxel[across], label: this.tool === "eraser" ? BACKGROUND : this.label};
    this.#stamp(voxel);
    return "";
  }

  /** Goes on with a stroke; null lifts the brush until it comes back. */
  move(voxel) {
    const {stroke} = this;
    if (!stroke) return;
    for (const place of voxel && stroke.last ? line(stroke.last, voxel) : voxel ? [voxel] : []) this.#stamp(place);
    stroke.last = voxel;
  }

  /** Ends a stroke; true if it changed something. */
  release() {
    const {stroke} = this;
    this.stroke = null;
    const done = this.history.commit(stroke?.box) > 0;
    if (done && stroke.label) this.drawn.push(stroke);
    return done;
  }

  /** Takes back a stroke or growth that is not settled. */
  cancel() {
    const box = this.stroke?.box ?? this.growth?.box;
    this.stroke = this.growth = null;
    if (!box) return false;
    this.history.revert(box);
    this.changed(box);
    return true;
  }

  /** Makes a step of what is shown but not settled; true if there was something. */
  settle() {
    if (this.stroke) return this.release();
    const {growth} = this;
    this.growth = null;
    return this.history.commit(growth?.box) > 0;
  }

  /** Grows again from the last seed, by other settings; words, or nothing if there is none. */
  regrow() {
    const {growth} = this;
    if (!growth) return "";
    if (growth.box) {
      this.history.revert(growth.box);
      this.changed(growth.box);
    }
    const {middle, seed, across} = growth, own = growth.grey[indexOf(seed, this.shape)];
    const low = Math.min(own, Math.max(middle - this.tolerance, 0)), high = Math.max(own, Math.min(middle + this.tolerance, 255));
    const options = {low, high, radius: this.reach, across: this.deep ? null : across, label: this.label, over: this.over};
    const {count, box} = grow(this.voxels, growth.grey, this.shape, this.spacing, seed, options);
    growth.box = box;
    if (box) this.changed(box);
    const range = `grey levels ${low} to ${high}`;
    return count ? `${inVoxels(count)} of ${range}. Enter keeps them, Escape takes them back.` : `No voxel of ${range} may change here.`;
  }

  /** Fills a label between two slices around the one looked at: those drawn upon, else those that hold it. */
  fill(at, across) {
    this.settle();
    const {label, over, shape, spacing, voxels} = this, holding = slicesWith(voxels, shape, across, label);
    const drawn = this.drawn.filter(one => one.across === across && one.label === label && holding.includes(one.slice)).map(one => one.slice);
    const pair = pairAround(drawn, at) ?? pairAround(holding, at);
    if (!pair) return "Draw this label on two slices of this plane with others between them first.";
    const {count, box} = fillBetween(voxels, shape, spacing, {label, across, low: pair[0], high: pair[1], over});
    const words = `between slices ${pair[0] + 1} and ${pair[1] + 1}`;
    if (!this.#step(box)) return `Nothing to add ${words}: their shapes do not overlap, or all is filled.`;
    return `${inVoxels(count)} added ${words}.`;
  }

  keepLargest() {
    this.settle();
    return this.#removed(keepLargest(this.voxels, this.shape, this.over || null));
  }

  restore() {
    this.settle();
    this.voxels.set(this.prediction);
    return this.#step(wholeBox(this.shape)) ? "The labels are as predicted." : "The labels were as predicted.";
  }

  undo() {
    this.settle();
    return this.#moved(this.history.undo());
  }

  redo() {
    this.settle();
    return this.#moved(this.history.redo());
  }

  #stamp(place) {
    const {stroke} = this, over = this.tool === "eraser" && this.over === BACKGROUND ? null : this.over;
    const box = stamp(this.voxels, this.shape, stroke.brush, place, stroke.label, over);
    stroke.box = joined(stroke.box, box);
    this.changed(box);
  }

  #beginGrowth(seed, across) {
    const {voxels} = this.grey(), near = [];
    for (let x = -BESIDE; x <= BESIDE; x++) {
      for (let y = -BESIDE; y <= BESIDE; y++) {
        const place = [...seed], [right, up] = [0, 1, 2].filter(axis => axis !== across);
        place[right] += x;
        place[up] += y;
        if (place.every((value, axis) => value >= 0 && value < this.shape[axis])) near.push(voxels[indexOf(place, this.shape)]);
      }
    }
    near.sort((one, other) => one - other);
    this.growth = {seed, across, grey: voxels, middle: near[near.length >> 1], box: null};
    return this.regrow();
  }

  #removed({count, box}) {
    return this.#step(box) ? `${inVoxels(count)} erased.` : "There is nothing to erase.";
  }

  #step(box) {
    if (!box || !this.history.commit(box)) return false;
    this.changed(box);
    return true;
  }

  #moved(box) {
    if (box) this.changed(box);
    return Boolean(box);
  }
}
