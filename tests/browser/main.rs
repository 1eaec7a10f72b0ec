//! The page in a real browser: one module a promise. Needs Chromium and its driver.

#[path = "../server/support/mod.rs"]
#[allow(dead_code, reason = "the whole-server tests use the rest")]
mod support;

mod browser;
mod flvjs_plays_the_same_address;
mod frames_of_other_sites_can_watch;
mod hls_goes_on_while_video_pauses;
mod looks;
mod playback_goes_on_by_itself;
mod rooms_are_listed;
mod rooms_play;
mod site;
mod studio;
mod trouble_is_explained;
mod what_fails_is_tried_again;
