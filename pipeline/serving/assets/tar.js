// Files as one uncompressed tar archive, without reading them: a Blob of Blobs.
const BLOCK = 512, text = new TextEncoder();

const put = (header, at, words) => header.set(text.encode(words), at);

const entry = (name, size, kind) => {
  const header = new Uint8Array(BLOCK);
  put(header, 0, name);
  put(header, 100, "0000644\0");
  put(header, 124, `${size.toString(8).padStart(11, "0")}\0`);
  put(header, 136, "00000000000\0");
  put(header, 148, "        ");
  put(header, 156, kind);
  put(header, 257, "ustar\u000000");
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(header, 148, `${sum.toString(8).padStart(6, "0")}\0 `);
  return header;
};

const padded = (blob, size) => [blob, new Uint8Array(-size & (BLOCK - 1))];

// Long and foreign names go into a record of their own before the file (pax, POSIX.1-2001).
const pax = name => {
  const record = ` path=${name}\n`, bytes = text.encode(record).length;
  let length = bytes + String(bytes).length;
  length = bytes + String(length).length;
  return text.encode(`${length}${record}`);
};

// `files`: [{name, blob}], names with forward slashes.
export const tar = files => new Blob([...files.flatMap(({name, blob}, number) => {
  const long = pax(name);
  return [
    entry(`pax/${number}`, long.length, "x"), ...padded(long, long.length),
    entry(`files/${number}`, blob.size, "0"), ...padded(blob, blob.size),
  ];
}), new Uint8Array(2 * BLOCK)], {type: "application/x-tar"});
