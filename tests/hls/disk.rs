//! A directory that cannot be used ends the start; a disk that fails later costs the files, not the stream. What a dead process left is cleared.

use std::{fs, process::Command};

use crate::support::{Server, Source, until};

fn source() -> Source {
    Source::encode(12, "-c:v libx264 -preset ultrafast -g 50 -sc_threshold 0", "-c:a aac")
}

const OUTAGE: &str = "cannot be written";

#[test]
fn segments_are_files_until_the_stream_has_ended() {
    let server = Server::start(&[]);
    source().push(&server, "r");
    let stream = server.whole_stream("r");
    assert_eq!(stream.segments.len(), 6);
    let room = server.storage.join("r");
    for entry in &stream.playlist.segments {
        let served = server.get(&format!("/live/r/{}", entry.uri)).body;
        assert_eq!(fs::read(room.join(&entry.uri)).unwrap(), served);
    }
    until("the end of the room", || (server.get("/live/r/index.m3u8").status == 404).then_some(()));
    until("the end of the files", || (!room.exists()).then_some(()));
    let gone = server.get(&format!("/live/r/{}", stream.playlist.segments[0].uri));
    assert_eq!(gone.status, 404);
}

#[test]
fn segments_that_are_no_longer_in_memory_come_from_their_files() {
    let server = Server::start(&[("HLS_MEMORY_MB", "1"), ("HLS_WINDOW", "100")]);
    let source = Source::encode(
        12,
        "-c:v libx264 -preset ultrafast -g 50 -s 1280x720 -qp 3 -sc_threshold 0",
        "-c:a aac",
    );
    assert!(fs::metadata(&source.path).unwrap().len() > 4 << 20);
    source.push(&server, "r");
    let stream = server.whole_stream("r");
    let first = format!("/live/r/{}", stream.playlist.segments[0].uri);
    let whole = server.get(&first).body;
    let part = server.request("GET", &first, &[("Range", "bytes=100000-299999")]);
    assert_eq!(part.status, 206);
    assert!(part.body == whole[100_000..300_000]);
    fs::remove_file(server.storage.join("r").join(&stream.playlist.segments[0].uri)).unwrap();
    assert_eq!(server.get(&first).status, 404, "it was the file");
}

#[test]
fn a_room_that_cannot_be_written_is_served_from_memory_with_one_warning() {
    let directory = tempfile::tempdir().unwrap();
    let storage = directory.path().join("hls");
    fs::create_dir(&storage).unwrap();
    fs::write(storage.join("r"), "not a directory").unwrap();
    let server = Server::start_in(directory, &storage, &[("PUBLISHER_GRACE_S", "20")]);
    let source = source();
    source.push(&server, "r");
    let playlist = server.playlist_when("r", |playlist| playlist.segments.len() == 6);
    assert_eq!(server.stream("r", playlist).segments.len(), 6);
    until("a warning", || (server.log_lines(OUTAGE) == 1).then_some(()));
    fs::remove_file(storage.join("r")).unwrap();
    source.push(&server, "r");
    until("the good news", || (server.log_lines("again") == 1).then_some(()));
    assert_eq!(server.log_lines(OUTAGE), 1);
}

#[test]
fn a_storage_that_cannot_be_used_ends_the_start_with_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("hls");
    fs::write(&file, "not a directory").unwrap();
    for storage in [file.clone(), file.join("below"), "/proc/hls".into()] {
        let (code, stderr) = Server::fail_to_start(&storage);
        assert_eq!(code, Some(1), "{stderr}");
        let last = stderr.lines().last().unwrap_or_default();
        assert!(last.contains(&format!("HLS_STORAGE={}: ", storage.display())), "{stderr}");
    }
}

#[test]
fn a_storage_that_goes_while_the_server_runs_is_a_warning_and_no_exit() {
    let mut server = Server::start(&[]);
    fs::remove_dir_all(&server.storage).unwrap();
    fs::write(&server.storage, "not a directory").unwrap();
    source().push(&server, "r");
    assert_eq!(server.whole_stream("r").segments.len(), 6);
    until("a warning", || (server.log_lines(OUTAGE) == 1).then_some(()));
    assert!(server.is_running());
}

#[test]
fn leftovers_of_a_process_that_died_are_cleared_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let storage = directory.path().join("hls");
    fs::create_dir_all(storage.join("r")).unwrap();
    for name in ["@lock", "r/seg-1.ts", "r/seg-2.ts.tmp", "r/mine.txt"] {
        fs::write(storage.join(name), "x").unwrap();
    }
    let server = Server::start_in(directory, &storage, &[]);
    until("the clearing", || (!storage.join("r/seg-1.ts").exists()).then_some(()));
    until("a line", || (server.log_lines("segments were cleared") == 1).then_some(()));
    assert!(storage.join("r/mine.txt").exists() && !storage.join("r/seg-2.ts.tmp").exists());
}

#[test]
fn a_server_that_is_stopped_leaves_no_segments() {
    let server = Server::start(&[("PUBLISHER_GRACE_S", "20")]);
    source().push(&server, "r");
    let file = server.storage.join("r");
    until("a file", || file.exists().then_some(()));
    let pid = server.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    until("the end of the files", || (!file.exists()).then_some(()));
}

#[test]
fn two_servers_with_one_storage_leave_each_others_files_alone() {
    let first = Server::start(&[("PUBLISHER_GRACE_S", "20")]);
    let source = source();
    source.push(&first, "r");
    let playlist = first.playlist_when("r", |playlist| playlist.segments.len() == 6);
    let file = first.storage.join("r").join(&playlist.segments[5].uri);
    until("a file", || file.exists().then_some(()));
    let second = Server::start_in(tempfile::tempdir().unwrap(), &first.storage, &[]);
    source.push(&second, "r");
    until("a file of the second", || first.storage.join("@2/r").exists().then_some(()));
    assert!(file.exists());
    assert_eq!(second.whole_stream("r").segments.len(), 6);
    assert_eq!(first.stream("r", playlist).segments.len(), 6);
}
