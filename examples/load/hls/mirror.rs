//! Copies a room's playlist and all that it lists into files, as they appear, for nginx to serve.

use std::{collections::HashSet, fs, io, path::PathBuf, time::Duration};

use tokio::sync::watch;

use super::{http::Client, part_listing::PartListing, place::Place};
use crate::stage::Stage;

/// Between two looks at a playlist that is not held.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// The copy of one room.
pub struct Mirror {
    place: Place,
    client: Client,
    /// The playlist that is copied.
    playlist: &'static str,
    directory: PathBuf,
    copied: HashSet<String>,
}

impl Mirror {
    /// Copies `playlist` of a room to below `files`.
    pub fn new(place: Place, playlist: &'static str, files: &std::path::Path) -> io::Result<Self> {
        let directory = files.join("live").join(&place.room);
        fs::create_dir_all(&directory)?;
        Ok(Self { client: Client::new(place.server), place, playlist, directory, copied: HashSet::new() })
    }

    /// Goes on until the load is over. The first copy is there when `ready` changes.
    pub async fn run(mut self, mut stages: watch::Receiver<Stage>, ready: watch::Sender<bool>) {
        let copying = async {
            let mut query = String::new();
            loop {
                match self.copy(&query).await {
                    Some(next) => {
                        query = next;
                        ready.send_replace(true);
                    }
                    None => query.clear(),
                }
                if query.is_empty() {
                    tokio::time::sleep(LOOK_INTERVAL).await;
                }
            }
        };
        tokio::select! {
            () = copying => {}
            _ = stages.wait_for(|stage| *stage == Stage::Over) => {}
        }
    }

    /// Copies what is listed and not copied yet, and the playlist behind it. Returns the query that waits for the next part.
    async fn copy(&mut self, query: &str) -> Option<String> {
        let text = self.fetch(&format!("{}{query}", self.playlist)).await?;
        for name in names(std::str::from_utf8(&text).ok()?) {
            if self.copied.insert(name.to_owned()) {
                let bytes = self.fetch(name).await?;
                fs::write(self.directory.join(name), bytes).ok()?;
            }
        }
        let new = self.directory.join("new");
        fs::write(&new, &text).and_then(|()| fs::rename(new, self.directory.join(self.playlist))).ok()?;
        let next = PartListing::parse(&text).and_then(|listing| listing.next);
        Some(next.map(|next| next.query()).unwrap_or_default())
    }

    async fn fetch(&mut self, name: &str) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        let path = self.place.path(name);
        self.client.get(&path, None, |read| body.extend_from_slice(read)).await.ok()?;
        Some(body)
    }
}

/// The files that a playlist lists. One that is announced is not there yet.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| match line.strip_prefix('#') {
        None => Some(line).filter(|line| !line.is_empty()),
        Some(tag) if tag.starts_with("EXT-X-PART:") || tag.starts_with("EXT-X-MAP:") => {
            tag.split_once("URI=\"")?.1.split('"').next()
        }
        Some(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_of_a_playlist_are_found() {
        let text = "#EXTM3U\n#EXT-X-MAP:URI=\"init-7.mp4\"\n#EXTINF:2.0,\nseg-6.m4s\n\
            #EXT-X-PART:DURATION=0.5,URI=\"part-7.0.m4s\"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"part-7.1.m4s\"\n";
        assert_eq!(names(text).collect::<Vec<_>>(), ["init-7.mp4", "seg-6.m4s", "part-7.0.m4s"]);
    }
}
