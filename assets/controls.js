// The controls of the player: buttons, the volume, keys, and those of the system.

import { at } from "./dom.js";

/** @import { Screen } from "./screen.js" */

/**
 * @typedef {object} Actions
 * @property {() => boolean} isPaused
 * @property {(wantsPause: boolean) => void} setPaused
 * @property {() => void} onChange is called when the sound of the video has changed
 */

/**
 * @param {string} room
 * @param {Screen} screen
 * @param {Actions} actions
 */
export function enableControls(room, screen, { isPaused, setPaused, onChange }) {
  const stage = at("stage", HTMLElement);
  const volume = at("volume", HTMLInputElement);

  const togglePause = () => setPaused(!isPaused());

  /** @param {number} level */
  function setVolume(level) {
    screen.video.volume = level;
    screen.video.muted = level === 0;
    volume.value = String(level);
    onChange();
  }

  function toggleMute() {
    const { video } = screen;
    if (video.muted && video.volume === 0) return setVolume(1);
    video.muted = !video.muted;
    onChange();
  }

  const toggleFullscreen = () => changeFullscreen(stage, screen.video);

  at("pause", HTMLButtonElement).addEventListener("click", togglePause);
  at("mute", HTMLButtonElement).addEventListener("click", toggleMute);
  at("unmute", HTMLButtonElement).addEventListener("click", toggleMute);
  at("fullscreen", HTMLButtonElement).addEventListener("click", toggleFullscreen);
  volume.addEventListener("input", () => setVolume(Number(volume.value)));
  screen.on("click", togglePause);
  enableKeys({ " ": togglePause, k: togglePause, m: toggleMute, f: toggleFullscreen });
  enableMediaKeys(room, setPaused);
}

/**
 * @param {HTMLElement} stage
 * @param {HTMLVideoElement} video
 */
function changeFullscreen(stage, video) {
  if (document.fullscreenElement) document.exitFullscreen();
  else if (stage.requestFullscreen) stage.requestFullscreen().catch(() => {});
  // iPhones have full screen for videos only.
  else /** @type {any} */ (video).webkitEnterFullscreen?.();
}

/** @param {Record<string, () => void>} keys */
function enableKeys(keys) {
  document.addEventListener("keydown", (event) => {
    const isControl = event.target instanceof Element && event.target.closest("button, a, input, summary");
    const action = keys[event.key.toLowerCase()];
    if (!action || event.ctrlKey || event.metaKey || event.altKey || (isControl && event.key === " ")) return;
    event.preventDefault();
    action();
  });
}

/**
 * Keys for media and the window of picture-in-picture pause as the page's own button does.
 *
 * @param {string} room
 * @param {(wantsPause: boolean) => void} setPaused
 */
function enableMediaKeys(room, setPaused) {
  if (!("mediaSession" in navigator)) return;
  navigator.mediaSession.metadata = new MediaMetadata({ title: room });
  navigator.mediaSession.setActionHandler("play", () => setPaused(false));
  navigator.mediaSession.setActionHandler("pause", () => setPaused(true));
}
