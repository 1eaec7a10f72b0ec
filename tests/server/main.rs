//! The whole server, as a process of its own, over real sockets: one module a promise.

mod api_answers;
mod bad_requests_are_refused;
mod encoders_spell_differently;
mod enhanced_rtmp_passes;
mod frames_arrive_unchanged;
mod garbage_harms_no_other_peer;
mod half_open_publisher_is_replaced;
mod http_answers;
mod http_connections_last;
mod legal_rtmp_is_accepted;
mod limits_hold;
mod logs_are_json;
mod logs_block_nothing;
mod pages_are_served;
mod players_change_their_minds;
mod real_players_can_read;
mod second_publisher_is_refused;
mod settings_are_checked;
mod slow_viewers_skip_ahead;
mod stalled_viewers_are_disconnected;
mod stops_without_waiting_for_peers;
mod streams_start_decodable;
mod viewers_join_within_the_window;
mod viewers_survive_a_republish;
mod websockets_carry_flv;
