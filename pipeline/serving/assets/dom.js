// Elements from plain values: text is always text, never HTML.
export const made = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
};

export const byId = id => document.getElementById(id);

/** Sets a text only if it differs, so that a screen reader does not read it again. */
export const say = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};
