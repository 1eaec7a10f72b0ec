//! Reading a segment's file, off the threads that serve media.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path, sync::Arc};

use bytes::Bytes;
use tokio::task::spawn_blocking;

/// An open segment file: it can be read to its end even if it is deleted meanwhile.
#[derive(Debug, Clone)]
pub struct SegmentFile(Arc<File>);

impl SegmentFile {
    /// Opens a file that has `size_bytes`.
    pub async fn open(path: Arc<Path>, size_bytes: usize) -> io::Result<Self> {
        let opened = spawn_blocking(move || {
            let file = File::open(path)?;
            if file.metadata()?.len() == size_bytes as u64 {
                Ok(file)
            } else {
                Err(io::Error::other("the file is not as it was written"))
            }
        });
        Ok(Self(Arc::new(opened.await??)))
    }

    /// The `size_bytes` from `offset_bytes` on.
    pub async fn read(&self, offset_bytes: u64, size_bytes: usize) -> io::Result<Bytes> {
        let file = self.0.clone();
        let read = spawn_blocking(move || {
            let mut buffer = vec![0; size_bytes];
            file.read_exact_at(&mut buffer, offset_bytes)?;
            Ok(Bytes::from(buffer))
        });
        read.await?
    }
}
