//! The page in a real browser: one module a promise. Needs Chromium and its driver.

mod a_proxy_may_add_a_prefix;
mod a_proxy_may_speak_tls;
mod browser;
mod clips;
mod flvjs_plays_the_same_address;
mod frames_of_other_sites_can_watch;
mod hls_goes_on_while_video_pauses;
mod pages_fit_their_window;
mod pauses_hold;
mod phones_play_hls_themselves;
mod playback_goes_on_by_itself;
mod prefix_proxy;
mod rooms_are_listed;
mod rooms_play;
mod rooms_play_over_https;
mod rooms_play_over_webrtc;
mod rooms_play_with_a_token;
mod site;
mod the_console_shows_nodes_and_rooms;
mod tracks_come_and_go;
mod trouble_is_explained;
mod webrtc_plays;
mod webrtc_plays_other_codecs;
mod webrtc_plays_without_udp;
mod what_fails_is_tried_again;
