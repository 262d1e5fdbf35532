// What was dropped or chosen, sorted into cases: each folder and each archive is one, the loose files together are one.
const ARCHIVE = /\.(zip|tar|tgz|tbz2|txz|tar\.(gz|bz2|xz))$/i, LITTER = /^(\.|Thumbs\.db$|desktop\.ini$|__MACOSX$)/i;

const entriesIn = async folder => {
  const reader = folder.createReader(), found = [];
  for (;;) { // it gives at most a hundred at a time
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) return found;
    found.push(...some);
  }
};

const filesBelow = async entry => {
  if (LITTER.test(entry.name)) return [];
  if (entry.isFile) {
    const blob = await new Promise((done, failed) => entry.file(done, failed));
    return [{name: entry.fullPath.replace(/^\//, ""), blob}];
  }
  const files = [];
  for (const inner of await entriesIn(entry)) files.push(...await filesBelow(inner));
  return files;
};

// What all names begin with, up to the last whole word; the first name where they share none.
const nameOf = names => {
  const [first] = names, stems = names.map(name => name.replace(/\.nii(\.gz)?$|\.[^.]*$/i, ""));
  let length = 0;
  while (length < stems[0].length && stems.every(stem => stem[length] === stems[0][length])) length++;
  const shared = stems[0].slice(0, length), whole = stems.length === 1 ? shared : shared.replace(/[-_. ][^-_. ]*$/, "");
  return whole || first;
};

// `folders`: [{name, files}]; `loose`: [{name, blob}].
const cases = (folders, loose) => {
  const archives = loose.filter(({name}) => ARCHIVE.test(name)), rest = loose.filter(({name}) => !ARCHIVE.test(name) && !LITTER.test(name));
  const found = [...folders, ...archives.map(file => ({name: file.name, archive: file.blob, files: [file]}))];
  if (rest.length) found.push({name: nameOf(rest.map(({name}) => name)), files: rest});
  return found;
};

/** Cases in a drop: a promise of [{name, files: [{name, blob}], archive}]. */
export const dropped = async ({items}) => {
  const entries = [...items].map(item => item.webkitGetAsEntry()).filter(Boolean); // gone after the first wait
  const folders = [], loose = [];
  for (const entry of entries) {
    if (entry.isDirectory) folders.push({name: entry.name, files: await filesBelow(entry)});
    else loose.push(...await filesBelow(entry));
  }
  return cases(folders, loose);
};

/** Cases in the files of an input, by the folders in which they are. */
export const chosen = files => {
  const folders = new Map(), loose = [];
  for (const blob of files) {
    const path = blob.webkitRelativePath, [top] = path.split("/");
    if (!path) loose.push({name: blob.name, blob});
    else if (!path.split("/").some(part => LITTER.test(part))) folders.set(top, [...folders.get(top) ?? [], {name: path, blob}]);
  }
  return cases([...folders].map(([name, files]) => ({name, files})), loose);
};
