// The tags of an FLV stream as it arrives: their track, codec and time. The time is written anew on the way.

/** @import { Kind, Tracks } from "../types.js" */

/**
 * A whole tag with the size that follows it.
 *
 * @typedef {object} Tag
 * @property {Kind | "script"} kind
 * @property {string} codec
 * @property {"header" | "keyframe" | "frame" | "other"} role
 * @property {number} timeMs
 * @property {Uint8Array<ArrayBuffer>} bytes
 */

/** What a tag's body says of it. @typedef {Pick<Tag, "kind" | "codec" | "role">} Content */

const FILE_HEADER_BYTES = 9;
const TAG_HEADER_BYTES = 11;
/** Behind the file's header and behind each tag is the size of the tag before. */
const PREVIOUS_SIZE_BYTES = 4;

const AUDIO = 8;
const VIDEO = 9;
const SCRIPT = 18;

/**
 * Returns the beginning of an FLV stream with these tracks.
 *
 * @param {Tracks} tracks
 */
export function fileHeader({ audio, video }) {
  const flags = (audio ? 4 : 0) | (video ? 1 : 0);
  return new Uint8Array([0x46, 0x4c, 0x56, 1, flags, 0, 0, 0, FILE_HEADER_BYTES, 0, 0, 0, 0]);
}

/**
 * Returns true for a tag of media, false for headers and metadata.
 *
 * @param {Pick<Tag, "role">} tag
 */
export const isFrame = ({ role }) => role === "frame" || role === "keyframe";

/**
 * Splits bytes into tags, and begins their time near zero. mpegts.js reads times as signed 32-bit numbers: it stands still
 * where a stream's time passes 2^31 ms, which with a wall clock in it is at once.
 */
export class FlvTags {
  #buffer = new Uint8Array(64 * 1024);
  #used = 0;
  /** @type {number | undefined} */
  #firstMs;
  /** The tracks that the file's header announces; undefined before it is there. @type {Tracks | undefined} */
  announced;

  /**
   * Takes bytes and returns the tags that are complete with them.
   *
   * @param {Uint8Array} bytes
   * @returns {Tag[]}
   * @throws if the stream is no FLV
   */
  push(bytes) {
    this.#append(bytes);
    let at = this.announced ? 0 : this.#readFileHeader();
    const tags = [];
    for (let size = this.#tagSize(at); this.announced && size > 0; size = this.#tagSize(at)) {
      const tag = this.#tag(this.#buffer.slice(at, at + size));
      if (tag) tags.push(tag);
      at += size;
    }
    this.#buffer.copyWithin(0, at, this.#used);
    this.#used -= at;
    return tags;
  }

  /** @param {Uint8Array} bytes */
  #append(bytes) {
    const needed = this.#used + bytes.length;
    if (needed > this.#buffer.length) {
      const larger = new Uint8Array(2 * needed);
      larger.set(this.#buffer.subarray(0, this.#used));
      this.#buffer = larger;
    }
    this.#buffer.set(bytes, this.#used);
    this.#used = needed;
  }

  /** Returns the size of the file's header, or 0 while it is incomplete. */
  #readFileHeader() {
    const size = FILE_HEADER_BYTES + PREVIOUS_SIZE_BYTES;
    if (this.#used < size) return 0;
    const [f, l, v, , flags, ...offset] = this.#buffer.subarray(0, FILE_HEADER_BYTES);
    const isFlv = f === 0x46 && l === 0x4c && v === 0x56 && offset.join() === `0,0,0,${FILE_HEADER_BYTES}`;
    if (!isFlv) throw new Error("the server's answer is no FLV");
    this.announced = { audio: (flags & 4) !== 0, video: (flags & 1) !== 0 };
    return size;
  }

  /**
   * Returns the size of the tag at a place, or 0 while it is incomplete.
   *
   * @param {number} at
   */
  #tagSize(at) {
    if (this.#used - at < TAG_HEADER_BYTES) return 0;
    const [, high, middle, low] = this.#buffer.subarray(at, at + TAG_HEADER_BYTES);
    const size = TAG_HEADER_BYTES + ((high << 16) | (middle << 8) | low) + PREVIOUS_SIZE_BYTES;
    return this.#used - at < size ? 0 : size;
  }

  /**
   * @param {Uint8Array<ArrayBuffer>} bytes
   * @returns {Tag | undefined} undefined for a tag that players skip
   */
  #tag(bytes) {
    const content = contentOf(bytes[0] & 0x1f, bytes.subarray(TAG_HEADER_BYTES, -PREVIOUS_SIZE_BYTES));
    if (!content) return undefined;
    return { ...content, timeMs: this.#rebase(bytes, isFrame(content)), bytes };
  }

  /**
   * Writes a tag's time anew. The first frame is the beginning; headers in front of it may have any time.
   *
   * @param {Uint8Array} bytes
   * @param {boolean} isMedia
   */
  #rebase(bytes, isMedia) {
    const wireMs = (bytes[7] << 24) | (bytes[4] << 16) | (bytes[5] << 8) | bytes[6];
    if (isMedia) this.#firstMs ??= wireMs;
    const timeMs = this.#firstMs === undefined ? 0 : (wireMs - this.#firstMs) | 0;
    writeTime(bytes, timeMs);
    return timeMs;
  }
}

/**
 * @param {Uint8Array} bytes
 * @param {number} timeMs
 */
function writeTime(bytes, timeMs) {
  bytes.set([timeMs >> 16, timeMs >> 8, timeMs, timeMs >> 24], 4);
}

/**
 * Returns a copy of a tag for another time.
 *
 * @param {Tag} tag
 * @param {number} timeMs
 * @returns {Tag}
 */
export function retimed(tag, timeMs) {
  const bytes = tag.bytes.slice();
  writeTime(bytes, timeMs);
  return { ...tag, timeMs, bytes };
}

/**
 * @param {number} type
 * @param {Uint8Array} body
 * @returns {Content | undefined}
 */
function contentOf(type, body) {
  if (type === SCRIPT) return { kind: "script", codec: "", role: "other" };
  if (body.length < 2) return undefined;
  if (type === AUDIO) return audioContent(body);
  if (type === VIDEO) return videoContent(body);
  return undefined;
}

const AUDIO_AAC = 10;
const AUDIO_MP3 = [2, 14];
const AUDIO_ENHANCED = 9;

/**
 * @param {Uint8Array} body
 * @returns {Content | undefined}
 */
function audioContent(body) {
  const format = body[0] >> 4;
  if (format === AUDIO_ENHANCED) return enhancedContent("audio", body, { 0: "header", 1: "frame" });
  if (format === AUDIO_AAC) return { kind: "audio", codec: "AAC", role: body[1] === 0 ? "header" : "frame" };
  const codec = AUDIO_MP3.includes(format) ? "MP3" : `flv-audio-${format}`;
  return { kind: "audio", codec, role: "frame" };
}

/** Codecs whose first byte is a packet type: header, frame, end of sequence. @type {Record<number, string>} */
const VIDEO_WITH_PACKETS = { 7: "H.264", 12: "H.265" };
const VIDEO_ENHANCED = 0x80;
const FRAME_TYPE_KEY = 1;
const FRAME_TYPE_COMMAND = 5;

/**
 * @param {Uint8Array} body
 * @returns {Content | undefined}
 */
function videoContent(body) {
  const frameType = (body[0] >> 4) & 7;
  if (frameType === FRAME_TYPE_COMMAND) return undefined;
  const frame = frameType === FRAME_TYPE_KEY ? "keyframe" : "frame";
  if (body[0] & VIDEO_ENHANCED) return enhancedContent("video", body, { 0: "header", 1: frame, 3: frame });
  const format = body[0] & 0x0f;
  const codec = VIDEO_WITH_PACKETS[format];
  if (!codec) return { kind: "video", codec: `flv-video-${format}`, role: frame };
  return { kind: "video", codec, role: body[1] === 0 ? "header" : body[1] === 1 ? frame : "other" };
}

/** @type {Record<string, string>} */
const FOUR_CC = {
  Opus: "Opus",
  fLaC: "FLAC",
  "ac-3": "AC-3",
  "ec-3": "E-AC-3",
  mp4a: "Enhanced AAC",
  ".mp3": "Enhanced MP3",
  avc1: "Enhanced H.264",
  hvc1: "H.265",
  av01: "AV1",
  vp09: "VP9",
};

/** Up to this packet type of Enhanced RTMP the codec comes next; multitrack packets and those with modifiers differ. */
const LAST_PLAIN_PACKET = 4;

/**
 * Reads a packet of Enhanced RTMP. Extra tracks and packets with modifiers are skipped: mpegts.js does not read them.
 *
 * @param {Kind} kind
 * @param {Uint8Array} body
 * @param {Record<number, Tag["role"]>} roles by packet type
 * @returns {Content | undefined}
 */
function enhancedContent(kind, body, roles) {
  const packet = body[0] & 0x0f;
  if (body.length < 5 || packet > LAST_PLAIN_PACKET) return undefined;
  const fourCc = String.fromCharCode(...body.subarray(1, 5));
  return { kind, codec: FOUR_CC[fourCc] ?? fourCc, role: roles[packet] ?? "other" };
}
