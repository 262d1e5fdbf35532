// Undo and redo of a label map, as runs of voxels with their old and new labels. No page.
const BYTES = 10; // of a run: where it starts, how long it is, its labels

export class History {
  /** `voxels` is changed by others, then `commit` makes a step of it. At most `steps` are kept, of `bytes` together. */
  constructor(voxels, shape, {steps = 200, bytes = 2 ** 26} = {}) {
    Object.assign(this, {voxels, shape, most: steps, room: bytes, done: [], undone: [], bytes: 0});
    this.settled = voxels.slice();
  }

  get canUndo() {
    return this.done.length > 0;
  }

  get canRedo() {
    return this.undone.length > 0;
  }

  /** Makes a step of what changed in a box since the last one; the number of voxels, 0 if there is no step. */
  commit(box) {
    const step = box && this.#difference(box);
    if (!step?.count) return 0;
    this.#drop(this.undone, 0);
    this.done.push(step);
    this.bytes += step.bytes;
    while (this.done.length > this.most || this.done.length > 1 && this.bytes > this.room) this.bytes -= this.done.shift().bytes;
    return step.count;
  }

  /** Takes back what changed in a box since the last step. */
  revert([low, high]) {
    this.#rows([low, high], (start, end) => this.voxels.set(this.settled.subarray(start, end), start));
  }

  /** Takes back a step, or does it again; the box that it changed, or null. */
  undo() {
    return this.#move(this.done, this.undone, "olds");
  }

  redo() {
    return this.#move(this.undone, this.done, "news");
  }

  #move(from, to, side) {
    const step = from.pop();
    if (!step) return null;
    for (let run = 0; run < step.starts.length; run++) {
      const start = step.starts[run], end = start + step.lengths[run];
      this.voxels.fill(step[side][run], start, end);
      this.settled.fill(step[side][run], start, end);
    }
    to.push(step);
    return step.box;
  }

  #drop(list, kept) {
    for (const step of list.splice(kept)) this.bytes -= step.bytes;
  }

  #rows([low, high], action) {
    const [width, height] = this.shape;
    for (let z = low[2]; z < high[2]; z++) {
      for (let y = low[1]; y < high[1]; y++) {
        const row = width * (y + height * z);
        action(row + low[0], row + high[0]);
      }
    }
  }

  #difference(box) {
    const {voxels, settled} = this, starts = [], lengths = [], olds = [], news = [];
    let count = 0;
    this.#rows(box, (start, end) => {
      for (let index = start; index < end; index++) {
        const own = voxels[index], old = settled[index];
        if (own === old) continue;
        const last = starts.length - 1;
        if (last >= 0 && index > start && starts[last] + lengths[last] === index && olds[last] === old && news[last] === own) lengths[last]++;
        else {
          starts.push(index);
          lengths.push(1);
          olds.push(old);
          news.push(own);
        }
        settled[index] = own;
        count++;
      }
    });
    return {
      box, count, bytes: BYTES * starts.length,
      starts: Uint32Array.from(starts), lengths: Uint32Array.from(lengths), olds: Uint8Array.from(olds), news: Uint8Array.from(news),
    };
  }
}
