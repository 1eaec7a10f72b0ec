//! Another program takes over in the server's process, and no one who is connected notices.

mod altered_handover;
mod bytes_on_the_way_are_kept;
mod claims_stay;
mod counters_do_not_go_back;
mod encrypted_connections_end_in_order;
mod hls_goes_on_to_the_byte;
mod installed;
mod media_stays_behind_oldest_first;
mod one_upgrade_at_a_time;
mod orders_to_stop_win;
mod peers_notice_nothing;
mod playlists_go_on;
mod pulled_rooms_go_on;
mod real_encoders_notice_nothing;
mod reports_are_not_lost;
mod unfit_programs_change_nothing;
mod unreadable_states_are_a_restart;
mod without_a_handover_the_server_starts_anew;
