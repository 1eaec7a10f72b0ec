//! The whole server, as a process of its own, over real sockets: one module a promise.

mod support;

mod api_answers;
mod bad_requests_are_refused;
mod enhanced_rtmp_passes;
mod frames_arrive_unchanged;
mod garbage_hurts_nobody;
mod half_open_publisher_is_replaced;
mod http_answers;
mod legal_rtmp_is_accepted;
mod limits_hold;
mod logs_are_json;
mod odd_frames_are_left_out;
mod pages_are_served;
mod real_players_can_read;
mod second_publisher_is_refused;
mod settings_are_checked;
mod slow_viewers_skip_ahead;
mod stalled_viewers_are_let_go;
mod stops_promptly;
mod streams_start_decodable;
mod times_fit_every_player;
mod tracks_are_announced_when_they_come;
mod video_begins_at_a_keyframe;
mod viewers_join_within_the_window;
mod viewers_survive_a_republish;
