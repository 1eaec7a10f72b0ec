// The document's elements. Text goes in as text: nothing from the network becomes HTML.

/**
 * Returns the element with an id. The page's own HTML has it, so its absence is a programming error.
 *
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function at(id, type) {
  const element = document.getElementById(id);
  if (element instanceof type) return element;
  throw new Error(`no ${type.name} with the id ${id}`);
}

/**
 * Writes a text where it differs: unchanged text keeps its selection and is not announced again.
 *
 * @param {Element} element
 * @param {string} text
 */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Makes each button with `data-copies` copy the text of the element with that id. */
export function enableCopying() {
  for (const button of document.querySelectorAll("button")) {
    const id = button.dataset.copies;
    if (id) button.addEventListener("click", () => copy(button, at(id, HTMLElement)));
  }
}

const COPIED_FOR_MS = 1500;

/**
 * @param {HTMLButtonElement} button
 * @param {HTMLElement} source
 */
async function copy(button, source) {
  try {
    await navigator.clipboard.writeText(source.textContent ?? "");
    write(button, "Copied");
  } catch {
    // Browsers keep the clipboard from pages that came over plain HTTP: the text is selected for the keyboard instead.
    getSelection()?.selectAllChildren(source);
    write(button, "Selected");
  }
  setTimeout(() => write(button, "Copy"), COPIED_FOR_MS);
}
