// The libraries in `players/`, each fetched when it is first used.

/** @type {Map<string, Promise<any>>} */
const loading = new Map();

/**
 * Loads a script of this page's own folder and returns the global that it defines.
 *
 * @param {string} script
 * @param {string} global
 * @returns {Promise<any>}
 */
export function load(script, global) {
  const known = loading.get(script);
  if (known) return known;
  const loaded = new Promise((resolve, reject) => {
    const element = document.createElement("script");
    element.src = new URL(`../${script}`, import.meta.url).href;
    element.onload = () => resolve(/** @type {any} */ (globalThis)[global]);
    element.onerror = () => reject(new Error(`${script} could not be loaded`));
    document.head.append(element);
  });
  loaded.catch(() => loading.delete(script));
  loading.set(script, loaded);
  return loaded;
}
