// Types that several scripts share, and those of the libraries in `players/`. For the type checker only: not served.

/** `GET /api/v1/server`; `openapi.json` describes the fields. */
export interface Server {
  node: string;
  version: string;
  app: string;
  tls: boolean;
  rtmp_port: number;
  hls_port: number | null;
  tls_port: number | null;
  hls_tls_port: number | null;
  webrtc: boolean;
  rtmp_url: string | null;
  http_url: string | null;
  hls_url: string | null;
}

export interface VideoDetails {
  codec: string;
  width: number | null;
  height: number | null;
}

export interface AudioDetails {
  codec: string;
}

export interface Details {
  video: VideoDetails | null;
  audio: AudioDetails | null;
  bitrate_kbps: number | null;
  viewers: number;
  /** Absent in the answers of older nodes. */
  webrtc?: WebRtcState | null;
}

/** What viewers over WebRTC get of a stream, and why that is not all. */
export interface WebRtcState {
  state: "ok" | "limited" | "refused";
  reasons: { code: string; message: string }[];
}

export interface Stream {
  room: string;
  state: "live" | "interrupted";
  node: string;
  since_unix_ms?: number;
  details: Details | null;
}

/** `GET /api/v1/streams`. */
export interface Streams {
  complete: boolean;
  streams: Stream[];
}

/** A room on a node; `openapi.json` describes the fields. */
export interface RoomReport {
  room: string;
  is_live: boolean;
  origin: string | null;
  since_unix_ms: number | null;
  /** Only in reports for administrators. */
  address?: string;
  encoder: string | null;
  video: string | null;
  width: number | null;
  height: number | null;
  audio: string | null;
  announced_frame_rate: number | null;
  keyframe_interval_ms: number | null;
  video_after_audio_ms: number | null;
  has_b_frames: boolean;
  /** What viewers over WebRTC get; null while that is not known. */
  webrtc: { state: "ok" | "limited" | "refused"; reasons: { code: string; message: string }[] } | null;
  lacks_keyframes: boolean;
  bitrate_kbps: number | null;
  viewers: Record<string, number>;
  skips: number;
  charts: { kbps: number[]; sent_kbps: number[]; viewers: number[]; frame_rate: number[] };
}

/** `GET /api/v1/nodes/this`. */
export interface NodeReport {
  node: string;
  version: string;
  status: "ready" | "not_ready" | "draining" | "dead";
  reason?: string;
  connections: number;
  connections_max: number;
  interval_s: number;
  charts: { ingest_kbps: number[]; sent_kbps: number[]; viewers: number[]; publish_to_send_ms: (number | null)[] };
  rooms: RoomReport[];
}

/** `GET /api/v1/nodes`. */
export interface ClusterReport {
  complete: boolean;
  nodes: NodeReport[];
  unreachable: string[];
  draining: string[];
}

/** Protocols whose media a library reads, or the browser from an address. */
export type Fetched = "flv" | "hls";
export type Protocol = Fetched | "webrtc";
export type Kind = "audio" | "video";
export type Tracks = Record<Kind, boolean>;

/** A reason that playback is impossible, as a title and a sentence. */
export interface Obstacle {
  title: string;
  text: string;
}

/**
 * The end of a playback. Only what is undecodable stays so however often it is tried. Unreachable is media that comes by
 * another way than the answer to the request, and does not arrive.
 */
export interface EndReport {
  why: "over" | "broken" | "undecodable" | "unreachable";
  title?: string;
  text: string;
}

/** One attached player: each way of playing has a module whose `open` returns one. */
export interface Player {
  /** Seconds behind live; undefined while that is not known. */
  readonly latency: number | undefined;
  /** The tracks that play; undefined while that is not known. */
  readonly tracks: Tracks | undefined;
  /** Codec of audio that is left out because the browser cannot decode it. */
  readonly undecodableAudio: string | undefined;
  /** The kind of the protocol that plays, where it has several. */
  readonly kind?: string;
  /** Grows while media comes, where the video element's buffer and position do not say so. */
  readonly progress?: number;
  /** Jumps to the newest media if playback is far behind it. */
  goLive(): void;
  /** Called several times a second while the viewer is not paused. */
  keepUp(): void;
  destroy(): void;
}

/** What a player is given, and what it reports to. */
export interface Host {
  readonly video: HTMLVideoElement;
  readonly url: string;
  /** Plays the video element unless the viewer has paused. */
  play(): void;
  /** Keeps the frame that an element shows in view until the video element has another one. */
  hold(shown: HTMLVideoElement): void;
  /** Reports an error that may leave playback intact: it counts only if nothing plays. */
  doubt(text: string): void;
  /** Reports that the server is about to close the connection, and that another one leads to another node. */
  moving(): void;
  /** Reports the end, once. */
  end(report: EndReport): void;
}

export type Open = (host: Host) => Promise<Player>;

/** mpegts.js, as far as the page uses it. */
export interface Mpegts {
  LoggingControl: { enableAll: boolean };
  Events: Record<"ERROR", string>;
  ErrorDetails: Record<"MEDIA_MSE_ERROR", string>;
  LoaderStatus: Record<"kIdle" | "kBuffering" | "kComplete", number>;
  BaseLoader: new (name: string) => MpegtsLoader;
  createPlayer(source: object, config: object): MpegtsPlayer;
}

export interface MpegtsLoader {
  _status: number;
  _onDataArrival: ((chunk: ArrayBufferLike, start: number, received: number) => void) | null;
  _onComplete: ((from: number, to: number) => void) | null;
}

export interface MpegtsPlayer {
  on(event: string, listener: (type: string, detail: string, info?: { msg?: string }) => void): void;
  attachMediaElement(video: HTMLVideoElement): void;
  load(): void;
  destroy(): void;
  /** Private parts of the version in `players/`. */
  _player_engine?: { _mse_controller?: { _sourceBuffers?: { [kind in Kind]?: SourceBuffer | null } } };
}

/** hls.js, as far as the page uses it. */
export interface HlsConstructor {
  new (config: object): HlsInstance;
  Events: Record<
    "ERROR" | "MANIFEST_LOADED" | "MANIFEST_PARSED" | "BUFFER_CODECS" | "BUFFER_APPENDED" | "FRAG_BUFFERED",
    string
  >;
  ErrorDetails: Record<string, string>;
}

/** What events carry: each has some of it. */
export interface HlsData {
  fatal: boolean;
  details: string;
  /** The answer to a request, if there was one. */
  response?: { code: number };
  networkDetails?: XMLHttpRequest;
  levels?: { attrs?: { CODECS?: string } }[];
  audio?: object;
  video?: object;
  /** Both tracks in one buffer, in fragmented MP4. */
  audiovideo?: object;
  timeRanges?: { [buffer in Kind | "audiovideo"]?: TimeRanges };
}

export interface HlsInstance {
  readonly latency: number;
  readonly liveSyncPosition: number | null;
  readonly latestLevelDetails: { partTarget: number; targetduration: number } | null;
  on(event: string, listener: (event: string, data: HlsData) => void): void;
  loadSource(url: string): void;
  attachMedia(video: HTMLVideoElement): void;
  stopLoad(): void;
  destroy(): void;
}
