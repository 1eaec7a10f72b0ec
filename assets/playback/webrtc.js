// WebRTC by WHEP: the browser plays what it receives by itself.

import { Statistics } from "./webrtc-statistics.js";
import { withStereo } from "./webrtc-offer.js";
import { begin, end, NotCarried } from "./whep.js";

/** @import { EndReport, Host, Open, Tracks } from "../types.js" */

/** @type {Open} */
export async function open(host) {
  if (!hasWebRtc()) throw new Error("this browser has no WebRTC");
  return new WebRtcPlayer(host);
}

/** True if this browser has WebRTC, which some settings and extensions turn off. */
export const hasWebRtc = () => globalThis.RTCPeerConnection !== undefined;

/** Networks without UDP fail silently. Any other connects in a fraction of a second. */
const CONNECT_MS = 5000;

const MEASURE_MS = 1000;

/** @type {EndReport} */
const UNREACHABLE = {
  why: "unreachable",
  title: "WebRTC does not connect",
  text: "its media comes over UDP, which does not get from the server to here",
};

/** A server that has no place left ends sessions that have not connected, and lets them in when there are places again.
 *
 * @type {EndReport} */
const DISPLACED = { why: "broken", text: "the server ended the session before it connected" };

/** The player of one session. */
export class WebRtcPlayer {
  #host;
  #peer = new RTCPeerConnection();
  #video = this.#peer.addTransceiver("video", { direction: "recvonly" });
  #audio = this.#peer.addTransceiver("audio", { direction: "recvonly" });
  #listening = new AbortController();
  /** The address of the session, from the answer on. @type {string | undefined} */
  #session;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #deadline;
  #hasConnected = false;
  #statistics = new Statistics();
  #measuring = setInterval(() => this.#measure(), MEASURE_MS);
  /** @type {Tracks | undefined} */
  #tracks;
  undecodableAudio = undefined;

  /** @param {Host} host */
  constructor(host) {
    this.#host = host;
    const { signal } = this.#listening;
    this.#peer.addEventListener("track", ({ streams }) => this.#show(streams[0]), { signal });
    this.#peer.addEventListener("connectionstatechange", () => this.#onState(), { signal });
    globalThis.addEventListener?.("pagehide", () => this.#leave(), { signal });
    this.#connect().catch((error) => this.#fail(error));
  }

  /** Those of the answer: audio that WebRTC cannot carry is not among them. */
  get tracks() {
    return this.#tracks;
  }

  get latency() {
    return this.#statistics.delayS;
  }

  /** The clock of the video element goes on without media as well. */
  get progress() {
    return this.#statistics.packets;
  }

  /** The browser plays the newest media by itself. */
  goLive() {}

  keepUp() {}

  destroy() {
    this.#listening.abort();
    clearInterval(this.#measuring);
    clearTimeout(this.#deadline);
    this.#host.video.srcObject = null;
    // In this order: a closed connection ends the session as well, and the request would be for none.
    this.#leave().then(() => this.#peer.close());
  }

  async #connect() {
    const { signal } = this.#listening;
    const offer = await this.#peer.createOffer();
    await this.#peer.setLocalDescription({ type: "offer", sdp: withStereo(offer.sdp ?? "") });
    const { answer, session } = await begin(this.#host.url, this.#peer.localDescription?.sdp ?? "");
    if (signal.aborted) return void (await end(session));
    this.#session = session;
    await this.#peer.setRemoteDescription({ type: "answer", sdp: answer });
    if (signal.aborted) return;
    const comes = (/** @type {RTCRtpTransceiver} */ { currentDirection }) => currentDirection === "recvonly";
    this.#tracks = { audio: comes(this.#audio), video: comes(this.#video) };
    if (!this.#hasConnected) this.#deadline = setTimeout(() => this.#giveUp(), CONNECT_MS);
  }

  /** Ends a session that did not connect. A network that lets nothing through is not to blame if the server has ended it. */
  async #giveUp() {
    clearTimeout(this.#deadline);
    if (this.#session === undefined) return;
    const wasEnded = await this.#leave();
    if (!this.#listening.signal.aborted) this.#host.end(wasEnded ? DISPLACED : UNREACHABLE);
  }

  /** @param {any} error */
  #fail(error) {
    if (this.#listening.signal.aborted) return;
    const text = error instanceof Error ? error.message : String(error);
    if (error instanceof NotCarried) {
      this.#host.end({ why: "undecodable", title: "This room cannot be watched over WebRTC", text });
    } else {
      this.#host.end({ why: "broken", text });
    }
  }

  /** Both tracks are of one stream, which keeps them together. @param {MediaStream | undefined} stream */
  #show(stream) {
    const { video } = this.#host;
    if (!stream || video.srcObject === stream) return;
    video.srcObject = stream;
    this.#host.play();
  }

  #onState() {
    switch (this.#peer.connectionState) {
      case "connected":
        this.#hasConnected = true;
        clearTimeout(this.#deadline);
        this.#watchEnd();
        break;
      case "failed":
        if (this.#hasConnected) this.#host.end({ why: "broken", text: "the connection was lost" });
        else void this.#giveUp();
        break;
    }
  }

  /** The server closes the encrypted transport at the end of a stream, of which the connection's own state says nothing. */
  #watchEnd() {
    const { transport } = this.#video.receiver;
    const onChange = () => {
      if (transport?.state !== "closed") return;
      this.#session = undefined;
      this.#host.end({ why: "over", text: "" });
    };
    transport?.addEventListener("statechange", onChange, { signal: this.#listening.signal });
  }

  #measure() {
    this.#peer.getStats().then(
      (report) => this.#statistics.note(report.values()),
      () => {},
    );
  }

  /** Ends the session, if there is one. Returns whether the server had done so before. */
  async #leave() {
    const session = this.#session;
    this.#session = undefined;
    return session !== undefined && (await end(session));
  }
}
