// The server's reasons for refusing media.

/**
 * Returns the server's reason for a refusal: its answers have a sentence for people.
 *
 * @param {Response} response
 * @returns {Promise<string>}
 */
export async function refusal(response) {
  const body = await response.text().catch(() => undefined);
  return sentenceIn(body) ?? `the server answered ${response.status}`;
}

/**
 * Returns the sentence in an answer; undefined if there is none, as in those of proxies.
 *
 * @param {string | undefined} body
 * @returns {string | undefined}
 */
export function sentenceIn(body) {
  try {
    const { message } = JSON.parse(body ?? "");
    return typeof message === "string" && message !== "" ? message : undefined;
  } catch {
    return undefined;
  }
}
