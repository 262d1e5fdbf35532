// Tools of a label map: arrays alone, x fastest, no page. A box is [[low x, y, z], [high x, y, z]], the high ends outside.
// `over` says which voxels may change: null for any, else those of that label, 0 being background.
const CLOSE = 1e-6; // of a voxel, so that a radius of whole voxels reaches them
const FAR = 1e12; // mm², farther than any voxel

const stepsOf = ([width, height]) => [1, width, width * height];

export const indexOf = ([x, y, z], [width, height]) => x + width * (y + height * z);

export const placeOf = (index, [width, height]) => [index % width, Math.floor(index / width) % height, Math.floor(index / (width * height))];

export const wholeBox = shape => [[0, 0, 0], [...shape]];

export const joined = (one, other) => !one || !other ? one ?? other : [
  one[0].map((low, axis) => Math.min(low, other[0][axis])), one[1].map((high, axis) => Math.max(high, other[1][axis])),
];

/** Box around voxels given by their indices; null around none. */
export const boxAround = (indices, [width, height, slices]) => {
  if (!indices.length) return null;
  let [left, front, bottom, right, back, top] = [width, height, slices, 0, 0, 0];
  for (const index of indices) {
    const row = Math.floor(index / width), x = index - row * width, z = Math.floor(row / height), y = row - z * height;
    if (x < left) left = x;
    if (x >= right) right = x + 1;
    if (y < front) front = y;
    if (y >= back) back = y + 1;
    if (z < bottom) bottom = z;
    if (z >= top) top = z + 1;
  }
  return [[left, front, bottom], [right, back, top]];
};

const boxOf = (centre, reach, shape) => [
  centre.map((value, axis) => Math.max(value - reach[axis], 0)), centre.map((value, axis) => Math.min(value + reach[axis] + 1, shape[axis])),
];

const reachOf = (radius, spacing, across) => spacing.map((edge, axis) => axis === across ? 0 : Math.floor(radius / edge + CLOSE));

/**
 * Rows of a ball of `radius` mm, or of a disc where `across` names the axis across its plane: [steps along y, steps along z,
 * voxels to either side along x]. A voxel belongs to it if its centre is no farther than the radius.
 */
export const brushOf = (radius, spacing, across = null) => {
  const reach = reachOf(radius, spacing, across), rows = [];
  for (let z = -reach[2]; z <= reach[2]; z++) {
    for (let y = -reach[1]; y <= reach[1]; y++) {
      const left = radius ** 2 - (y * spacing[1]) ** 2 - (z * spacing[2]) ** 2;
      if (left < -CLOSE) continue;
      rows.push([y, z, across === 0 ? 0 : Math.floor(Math.sqrt(Math.max(left, 0)) / spacing[0] + CLOSE)]);
    }
  }
  return rows;
};

/** Voxels from one to another, without the first one: one step along the longest axis at a time. */
export const line = (from, to) => {
  const way = to.map((value, axis) => value - from[axis]), length = Math.max(...way.map(Math.abs));
  return Array.from({length}, (_, step) => from.map((value, axis) => Math.round(value + way[axis] * (step + 1) / length)));
};

/** Sets the voxels of a brush around a centre; the box that it touched. */
export const stamp = (voxels, shape, brush, centre, label, over = null) => {
  const [width, height, slices] = shape, reach = [0, 0, 0];
  for (const [stepY, stepZ, half] of brush) {
    const y = centre[1] + stepY, z = centre[2] + stepZ;
    reach[0] = Math.max(reach[0], half);
    reach[1] = Math.max(reach[1], Math.abs(stepY));
    reach[2] = Math.max(reach[2], Math.abs(stepZ));
    if (y < 0 || y >= height || z < 0 || z >= slices) continue;
    const row = width * (y + height * z), end = row + Math.min(centre[0] + half, width - 1);
    for (let index = row + Math.max(centre[0] - half, 0); index <= end; index++) {
      if (over === null || voxels[index] === over) voxels[index] = label;
    }
  }
  return boxOf(centre, reach, shape);
};

/**
 * Sets the voxels that hang together with a seed (by faces) through grey levels from `low` to `high`, no farther from it than
 * `radius` mm, in the plane across an axis or, without one, in 3D. Those that may not change stop it.
 * Gives {count, box}: the voxels that changed.
 */
export const grow = (voxels, grey, shape, spacing, seed, {low, high, radius, across = null, label, over = null}) => {
  const box = boxOf(seed, reachOf(radius, spacing, across), shape), [from, to] = box, steps = stepsOf(shape);
  const size = to.map((end, axis) => end - from[axis]), seen = new Uint8Array(size[0] * size[1] * size[2]);
  const waiting = [seed], changed = [];
  const take = place => {
    if (place.some((value, axis) => value < from[axis] || value >= to[axis])) return;
    const own = indexOf(place.map((value, axis) => value - from[axis]), size);
    if (seen[own]) return;
    seen[own] = 1;
    const index = place[0] + place[1] * steps[1] + place[2] * steps[2];
    if (grey[index] < low || grey[index] > high) return;
    if (over !== null && voxels[index] !== over && voxels[index] !== label) return;
    if (place.reduce((sum, value, axis) => sum + ((value - seed[axis]) * spacing[axis]) ** 2, 0) > radius ** 2 + CLOSE) return;
    if (voxels[index] !== label) changed.push(index);
    waiting.push(place);
  };
  take(waiting.pop());
  while (waiting.length) {
    const [x, y, z] = waiting.pop();
    take([x - 1, y, z]);
    take([x + 1, y, z]);
    take([x, y - 1, z]);
    take([x, y + 1, z]);
    take([x, y, z - 1]);
    take([x, y, z + 1]);
  }
  for (const index of changed) voxels[index] = label;
  return {count: changed.length, box: boxAround(changed, shape)};
};

// Squared distances to the nearest 0 of a line, in place (Felzenszwalb and Huttenlocher, Theory of Computing 8 (2012) 415).
const transformLine = (values, start, stride, length, edge, {source, centres, borders}) => {
  for (let own = 0; own < length; own++) source[own] = values[start + own * stride];
  const square = edge ** 2, meeting = (one, other) =>
    (source[one] - source[other] + square * (one ** 2 - other ** 2)) / (2 * square * (one - other));
  let last = 0;
  centres[0] = 0;
  [borders[0], borders[1]] = [-Infinity, Infinity];
  for (let own = 1; own < length; own++) {
    let border = meeting(own, centres[last]);
    while (border <= borders[last]) border = meeting(own, centres[--last]);
    centres[++last] = own;
    [borders[last], borders[last + 1]] = [border, Infinity];
  }
  for (let own = 0, parabola = 0; own < length; own++) {
    while (borders[parabola + 1] < own) parabola++;
    values[start + own * stride] = square * (own - centres[parabola]) ** 2 + source[centres[parabola]];
  }
};

const distances = (isZero, width, height, [edgeX, edgeY]) => {
  const values = Float64Array.from(isZero, zero => zero ? 0 : FAR), longest = Math.max(width, height);
  const room = {source: new Float64Array(longest), centres: new Int32Array(longest), borders: new Float64Array(longest + 1)};
  for (let y = 0; y < height; y++) transformLine(values, y * width, 1, width, edgeX, room);
  for (let x = 0; x < width; x++) transformLine(values, x, width, height, edgeY, room);
  return values.map(Math.sqrt);
};

/** Distance in mm of each pixel of a mask to the other side: below 0 inside, above 0 outside. */
export const signedDistances = (mask, width, height, spacing) => {
  const outside = distances(mask, width, height, spacing), inside = distances(mask.map(value => 1 - value), width, height, spacing);
  return outside.map((distance, index) => distance - inside[index]);
};

/** Slices across an axis that hold a label, in order. */
export const slicesWith = (voxels, shape, across, label) => {
  const found = new Set(), step = stepsOf(shape)[across], length = shape[across];
  for (let index = 0; index < voxels.length; index++) {
    if (voxels[index] === label) found.add(Math.floor(index / step) % length);
  }
  return [...found].sort((one, other) => one - other);
};

/**
 * The two neighbours in a list of slices that have others between them and the slice looked at, `at`, between or upon them;
 * of two such pairs the one with the slice named last. Null if there is none.
 */
export const pairAround = (slices, at) => {
  const ordered = [...new Set(slices)].sort((one, other) => one - other);
  const pairs = ordered.slice(1).map((high, place) => [ordered[place], high]).filter(([low, high]) => high - low > 1 && low <= at && at <= high);
  const recency = pair => Math.max(...pair.filter(slice => slice !== at).map(slice => slices.lastIndexOf(slice)));
  return pairs.sort((one, other) => recency(other) - recency(one))[0] ?? null;
};

/**
 * Adds a label to the slices between two, where the shapes on these two, blended by their signed distances, reach (Raya and
 * Udupa, IEEE Trans. Med. Imaging 9 (1990) 32). Nothing is taken away. Gives {count, box}: the voxels that changed.
 */
export const fillBetween = (voxels, shape, spacing, {label, across, low, high, over = null}) => {
  const steps = stepsOf(shape), [right, up] = [0, 1, 2].filter(axis => axis !== across), changed = [];
  let [left, bottom, rightmost, top] = [Infinity, Infinity, -1, -1];
  const at = (x, y, slice) => x * steps[right] + y * steps[up] + slice * steps[across];
  for (const slice of [low, high]) {
    for (let y = 0; y < shape[up]; y++) {
      for (let x = 0; x < shape[right]; x++) {
        if (voxels[at(x, y, slice)] !== label) continue;
        left = Math.min(left, x);
        rightmost = Math.max(rightmost, x);
        bottom = Math.min(bottom, y);
        top = Math.max(top, y);
      }
    }
  }
  if (rightmost < 0) return {count: 0, box: null};
  const width = rightmost - left + 3, height = top - bottom + 3; // with a margin, so that there is an outside
  const shapes = [low, high].map(slice => {
    const mask = new Uint8Array(width * height);
    for (let y = bottom; y <= top; y++) {
      for (let x = left; x <= rightmost; x++) mask[x - left + 1 + width * (y - bottom + 1)] = voxels[at(x, y, slice)] === label ? 1 : 0;
    }
    return signedDistances(mask, width, height, [spacing[right], spacing[up]]);
  });
  for (let slice = low + 1; slice < high; slice++) {
    const share = (slice - low) / (high - low);
    for (let y = bottom; y <= top; y++) {
      for (let x = left; x <= rightmost; x++) {
        const own = x - left + 1 + width * (y - bottom + 1), index = at(x, y, slice);
        if ((1 - share) * shapes[0][own] + share * shapes[1][own] >= 0 || voxels[index] === label) continue;
        if (over !== null && voxels[index] !== over) continue;
        voxels[index] = label;
        changed.push(index);
      }
    }
  }
  return {count: changed.length, box: boxAround(changed, shape)};
};

// Indices of the voxels that hang together with one (by faces, edges or corners), of its label or, if `label` is null, of any.
const pieceAt = (voxels, shape, first, label, seen) => {
  const piece = [first], belongs = index => label === null ? voxels[index] > 0 : voxels[index] === label;
  seen.add(first);
  for (let done = 0; done < piece.length; done++) {
    const place = placeOf(piece[done], shape);
    const [xs, ys, zs] = place.map((value, axis) => [value - 1, value, value + 1].filter(near => near >= 0 && near < shape[axis]));
    for (const z of zs) {
      for (const y of ys) {
        for (const x of xs) {
          const index = indexOf([x, y, z], shape);
          if (seen.has(index) || !belongs(index)) continue;
          seen.add(index);
          piece.push(index);
        }
      }
    }
  }
  return piece;
};

const erase = (voxels, shape, indices) => {
  for (const index of indices) voxels[index] = 0;
  return {count: indices.length, box: boxAround(indices, shape)};
};

/** Erases the piece at a place: of one label, or of any where `label` is null. Gives {count, box}. */
export const removePiece = (voxels, shape, place, label = null) => {
  const index = indexOf(place, shape), there = voxels[index];
  return erase(voxels, shape, there && (label === null || there === label) ? pieceAt(voxels, shape, index, label, new Set()) : []);
};

/** Erases all pieces but the largest: of one label, or of any where `label` is null. Gives {count, box}. */
export const keepLargest = (voxels, shape, label = null) => {
  const seen = new Set(), pieces = [];
  for (let index = 0; index < voxels.length; index++) {
    if ((label === null ? voxels[index] > 0 : voxels[index] === label) && !seen.has(index)) {
      pieces.push(pieceAt(voxels, shape, index, label, seen));
    }
  }
  pieces.sort((one, other) => other.length - one.length);
  return erase(voxels, shape, pieces.slice(1).flat());
};

/** Of each label 1 to `labels`: voxels in the correction, `now`, in the prediction, `before`, and in one of them alone. */
export const statistics = (voxels, prediction, labels) => {
  const [now, before, added, removed] = [0, 1, 2, 3].map(() => new Float64Array(labels + 1));
  for (let index = 0; index < voxels.length; index++) {
    const own = voxels[index], other = prediction[index];
    if (!own && !other) continue;
    now[own]++;
    before[other]++;
    if (own !== other) {
      added[own]++;
      removed[other]++;
    }
  }
  return Array.from({length: labels}, (_, place) => ({
    now: now[place + 1], before: before[place + 1], added: added[place + 1], removed: removed[place + 1],
  }));
};

const CRC = Uint32Array.from({length: 256}, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ value >>> 1 : value >>> 1;
  return value;
});

/** A number that tells files apart (CRC-32, as zlib computes it). */
export const fingerprint = bytes => {
  let rest = 0xffffffff;
  for (let index = 0; index < bytes.length; index++) rest = CRC[(rest ^ bytes[index]) & 255] ^ rest >>> 8;
  return ~rest >>> 0;
};
