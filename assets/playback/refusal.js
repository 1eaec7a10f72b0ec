// The server's reasons for refusing media.

/**
 * Returns the server's reason for a refusal: its answers have a sentence for people.
 *
 * @param {Response} response
 * @returns {Promise<string>}
 */
export async function refusal(response) {
  try {
    const { message } = await response.json();
    if (typeof message === "string" && message !== "") return message;
  } catch {
    // A proxy's answer is no JSON.
  }
  return `the server answered ${response.status}`;
}
