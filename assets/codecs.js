// Which codecs can be played: by the protocol, by its player, and by this browser.

const MSE_TYPES = {
  "H.264": 'video/mp4; codecs="avc1.42E01E"',
  "H.265": 'video/mp4; codecs="hvc1.1.6.L93.B0"',
  AV1: 'video/mp4; codecs="av01.0.04M.08"',
  AAC: 'audio/mp4; codecs="mp4a.40.2"',
  MP3: "audio/mpeg",
  Opus: 'audio/mp4; codecs="opus"',
  FLAC: 'audio/mp4; codecs="flac"',
};

/** What the players read. VP9 and AC-3 pass the server, but mpegts.js does not know them in FLV, nor hls.js H.265 in MPEG-TS. */
const READ_BY = {
  flv: ["H.264", "H.265", "AV1", "AAC", "MP3", "Opus", "FLAC"],
  hls: ["H.264", "AAC", "MP3"],
};

const NAMES = { flv: "HTTP-FLV", hls: "HLS" };

const mediaSource = () => globalThis.ManagedMediaSource ?? globalThis.MediaSource;

/** Why a stream cannot be played; undefined if it can, or if its codecs are not known. */
export function obstacle(protocol, details) {
  const tracks = [
    [details?.video?.codec, "video"],
    [details?.audio?.codec, "audio"],
  ];
  for (const [codec, kind] of tracks) {
    if (!codec) continue;
    const why = obstacleOf(protocol, codec, kind);
    if (why) return why;
  }
  return undefined;
}

function obstacleOf(protocol, codec, kind) {
  const other = protocol === "flv" ? "hls" : "flv";
  if (!READ_BY[protocol].includes(codec)) {
    const instead = READ_BY[other].includes(codec) ? `Choose ${NAMES[other]}` : "Use a player such as VLC or ffplay";
    return { title: `${codec} ${kind} cannot be played over ${NAMES[protocol]} here`, text: `${instead}.` };
  }
  if (mediaSource()?.isTypeSupported(MSE_TYPES[codec])) return undefined;
  return {
    title: `This browser cannot decode ${codec} ${kind}`,
    text: "Another browser or device may; VLC and ffplay can.",
  };
}
