// The viewer's token or key, from the page's address: behind `#`, where no server, log or referrer sees it.

/**
 * @param {string} hash
 * @returns {{ name: string, text: string } | undefined}
 */
export function parse(hash) {
  const [, name, text] = /[#&](token|key)=([^&]+)/.exec(hash) ?? [];
  return name === undefined ? undefined : { name, text };
}

// Scripts without a page have no address.
const found = parse(globalThis.location?.hash ?? "");

/** The credential in the page's address. */
export const fromPage = found;

/** The fragment that hands the credential on to another page of this server, or an empty text. */
export const fragment = found ? `#${found.name}=${found.text}` : "";

/**
 * Returns the headers of a request that presents the credential.
 *
 * @returns {Record<string, string>}
 */
export function headers(credential = found) {
  return credential ? { Authorization: `Bearer ${credential.text}` } : {};
}

/**
 * Returns an address that presents the credential, for players that send no headers.
 *
 * @param {string} url
 */
export function inQuery(url, credential = found) {
  if (!credential) return url;
  return `${url}${url.includes("?") ? "&" : "?"}${credential.name}=${credential.text}`;
}

/**
 * Presents the credential in a request of hls.js. Segments have a key in their addresses, and a header would cost each of them
 * a request in advance: they come from another port.
 *
 * @param {XMLHttpRequest} request
 * @param {string} url
 */
export function present(request, url, credential = found) {
  if (!credential || new URL(url, "http://page").searchParams.has("key")) return;
  for (const [name, value] of Object.entries(headers(credential))) request.setRequestHeader(name, value);
}
