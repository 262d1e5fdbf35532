// Label maps as colours: no page and no NiiVue, only arrays with x fastest.
(() => {
  "use strict";

  // 0 where two maps agree, else 1 where only the first marks tumour, 2 only the second, 3 both with other labels.
  const difference = (one, other) => one === other ? 0 : !other ? 1 : !one ? 2 : 3;

  const disagreeing = (one, other) => {
    const found = new Uint8Array(one.length);
    for (let index = 0; index < one.length; index++) {
      if (one[index] !== other[index]) found[index] = difference(one[index], other[index]);
    }
    return found;
  };

  // Indices of the voxels that any map marks: few, so that painting is quick.
  const marked = maps => {
    const found = [];
    for (let index = 0; index < maps[0].length; index++) {
      for (const voxels of maps) {
        if (voxels[index]) {
          found.push(index);
          break;
        }
      }
    }
    return found;
  };

  // [[low x, y, z], [high x, y, z]] with the high ends outside, grown by a margin and cut at the volume.
  const grown = ([low, high], margin, shape) => [
    low.map(value => Math.max(value - margin, 0)), high.map((value, axis) => Math.min(value + margin, shape[axis])),
  ];

  const indicesIn = ([low, high], shape) => {
    const found = [];
    for (let z = low[2]; z < high[2]; z++) {
      for (let y = low[1]; y < high[1]; y++) {
        const row = shape[0] * (y + shape[1] * z);
        for (let x = low[0]; x < high[0]; x++) found.push(row + x);
      }
    }
    return found;
  };

  // Whether a voxel lies beside one outside its region, along the given axes.
  const borders = (voxels, index, axes, shape, inside) => {
    const steps = [1, shape[0], shape[0] * shape[1]], own = inside[voxels[index] - 1];
    return axes.some(axis => {
      const along = Math.floor(index / steps[axis]) % shape[axis];
      const before = along > 0 ? voxels[index - steps[axis]] : 0, after = along < shape[axis] - 1 ? voxels[index + steps[axis]] : 0;
      return !own.includes(before) || !own.includes(after);
    });
  };

  // Draws layers in turn into red, green, blue and opacity. A layer: `voxels`, `colours` of 1, 2, ..., which are `wanted`,
  // `strength` (0 to 255, or null where each colour has its own) and `lined`, if only the border of each region is drawn.
  const paint = (img, layers, indices, {axes, shape, inside}) => {
    for (const {voxels, colours, wanted, strength, lined} of layers) {
      for (const index of indices) {
        const label = voxels[index];
        if (!label || !wanted[label - 1] || lined && !borders(voxels, index, axes, shape, inside)) continue;
        const colour = colours[label - 1], place = 4 * index;
        [img[place], img[place + 1], img[place + 2]] = colour;
        img[place + 3] = strength === null ? colour[3] : strength;
      }
    }
  };

  // The card mixes neighbours: what lies beside a colour takes that colour, wholly transparent, instead of black.
  const bleed = (img, indices, shape) => {
    const steps = [1, shape[0], shape[0] * shape[1]];
    for (const index of indices) {
      if (!img[4 * index + 3]) continue;
      for (const step of steps) {
        for (const beside of [index - step, index + step]) {
          if (beside >= 0 && 4 * beside < img.length && !img[4 * beside + 3]) img.copyWithin(4 * beside, 4 * index, 4 * index + 3);
        }
      }
    }
  };

  const clear = (img, indices) => {
    for (const index of indices) img.fill(0, 4 * index, 4 * index + 4);
  };

  window.TumorFlowPainting = {difference, disagreeing, marked, grown, indicesIn, paint, bleed, clear};
})();
