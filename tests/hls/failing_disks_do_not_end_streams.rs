//! A directory that cannot be used ends the start; a disk that fails later costs the files, not the stream. Files of a
//! dead process are cleared.

use std::fs;

use synctv_testkit::{
    process::run_to_end,
    server::{self, TestServer},
    tools::Encoded,
    wait::poll_until,
};

use crate::{LONG_GRACE, clip};

const OUTAGE: &str = "cannot be written";

#[test]
fn segments_are_files_until_the_stream_has_ended() {
    let server = TestServer::with_hls(&[]);
    clip(12).push(&server.rtmp_url("r"));
    let stream = server.hls().whole_stream("r");
    assert_eq!(stream.segments.len(), 6);
    let room = server.storage().join("r");
    for entry in &stream.playlist.segments {
        let served = server.hls().get(&format!("/live/r/{}", entry.uri)).body;
        assert_eq!(fs::read(room.join(&entry.uri)).unwrap(), served);
    }
    poll_until("the end of the room", || {
        (server.hls().get("/live/r/index.m3u8").status == 404).then_some(())
    });
    poll_until("the end of the files", || (!room.exists()).then_some(()));
    let expired = server.hls().get(&format!("/live/r/{}", stream.playlist.segments[0].uri));
    assert_eq!(expired.status, 404);
}

#[test]
fn segments_that_are_no_longer_in_memory_come_from_their_files() {
    let server = TestServer::with_hls(&["--hls-memory-mb", "1", "--hls-window", "100"]);
    let source = Encoded::new(
        12,
        "-c:v libx264 -preset ultrafast -g 50 -s 1280x720 -qp 3 -sc_threshold 0",
        "-c:a aac",
    );
    assert!(fs::metadata(&source.path).unwrap().len() > 4 << 20);
    source.push(&server.rtmp_url("r"));
    let stream = server.hls().whole_stream("r");
    let first = format!("/live/r/{}", stream.playlist.segments[0].uri);
    let whole = server.hls().get(&first).body;
    let part = server.hls().request("GET", &first, &[("Range", "bytes=100000-299999")]);
    assert_eq!(part.status, 206);
    assert!(part.body == whole[100_000..300_000]);
    fs::remove_file(server.storage().join("r").join(&stream.playlist.segments[0].uri)).unwrap();
    for _ in 0..3 {
        assert_eq!(server.hls().get(&first).status, 404, "it was the file");
    }
    server.log.find_only("the warning", |line| line.mentions("a segment's file cannot be read"));
}

#[test]
fn a_room_that_cannot_be_written_is_served_from_memory_with_one_warning() {
    let directory = tempfile::tempdir().unwrap();
    let storage = directory.path().join("hls");
    fs::create_dir(&storage).unwrap();
    fs::write(storage.join("r"), "not a directory").unwrap();
    let server = TestServer::with_hls_storage(&storage, &LONG_GRACE);
    let source = clip(12);
    source.push(&server.rtmp_url("r"));
    let playlist = server.hls().playlist_when("r", |playlist| playlist.segments.len() == 6);
    assert_eq!(server.hls().stream("r", playlist).segments.len(), 6);
    server.log.find("the warning", |line| line.mentions(OUTAGE));
    fs::remove_file(storage.join("r")).unwrap();
    source.push(&server.rtmp_url("r"));
    server.log.find("the end of the outage", |line| line.mentions("again"));
    server.log.find_only("the warning", |line| line.mentions(OUTAGE));
}

#[test]
fn a_storage_that_cannot_be_used_ends_the_start_with_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("hls");
    fs::write(&file, "not a directory").unwrap();
    for storage in [file.clone(), file.join("below"), "/proc/hls".into()] {
        let mut program = server::program();
        program.env("HLS", "always").env("HLS_STORAGE", &storage);
        let ended = run_to_end(program);
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        let last = ended.stderr.lines().last().unwrap_or_default();
        assert!(last.contains(&format!("HLS_STORAGE={}: ", storage.display())), "{}", ended.stderr);
    }
}

#[test]
fn a_storage_that_goes_while_the_server_runs_is_a_warning_and_no_exit() {
    let mut server = TestServer::with_hls(&[]);
    fs::remove_dir_all(server.storage()).unwrap();
    fs::write(server.storage(), "not a directory").unwrap();
    clip(12).push(&server.rtmp_url("r"));
    assert_eq!(server.hls().whole_stream("r").segments.len(), 6);
    server.log.find_only("a warning", |line| line.mentions(OUTAGE));
    server.assert_unhurt();
}

#[test]
fn leftovers_of_a_process_that_died_are_cleared_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let storage = directory.path().join("hls");
    fs::create_dir_all(storage.join("r")).unwrap();
    for name in ["@lock", "r/seg-1.ts", "r/seg-2.ts.tmp", "r/mine.txt"] {
        fs::write(storage.join(name), "x").unwrap();
    }
    let server = TestServer::with_hls_storage(&storage, &[]);
    poll_until("the clearing", || (!storage.join("r/seg-1.ts").exists()).then_some(()));
    server.log.find("a line about it", |line| line.mentions("segments were cleared"));
    assert!(storage.join("r/mine.txt").exists() && !storage.join("r/seg-2.ts.tmp").exists());
}

#[test]
fn a_server_that_is_stopped_leaves_no_segments() {
    let storage = tempfile::tempdir().unwrap();
    let server = TestServer::with_hls_storage(storage.path(), &LONG_GRACE);
    clip(12).push(&server.rtmp_url("r"));
    let room = storage.path().join("r");
    poll_until("a file", || room.exists().then_some(()));
    server.signal("TERM");
    server.wait_for_exit();
    assert!(!room.exists());
}

#[test]
fn two_servers_with_one_storage_leave_each_others_files_alone() {
    let first = TestServer::with_hls(&LONG_GRACE);
    let source = clip(12);
    source.push(&first.rtmp_url("r"));
    let playlist = first.hls().playlist_when("r", |playlist| playlist.segments.len() == 6);
    let file = first.storage().join("r").join(&playlist.segments[5].uri);
    poll_until("a file", || file.exists().then_some(()));
    let second = TestServer::with_hls_storage(&first.storage(), &[]);
    source.push(&second.rtmp_url("r"));
    poll_until("a file of the second", || first.storage().join("@2/r").exists().then_some(()));
    assert!(file.exists());
    assert_eq!(second.hls().whole_stream("r").segments.len(), 6);
    assert_eq!(first.hls().stream("r", playlist).segments.len(), 6);
}
