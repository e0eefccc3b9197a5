//! What a process writes: collected within bounds, because a function may write without end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Memory that the collected output of all processes may take together.
#[derive(Debug)]
pub(crate) struct OutputBudget {
    used: AtomicUsize,
    limit: usize,
}

impl OutputBudget {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(OutputBudget {
            used: AtomicUsize::new(0),
            limit,
        })
    }
}

/// Output of one process; its part of the budget is given back when the last copy is gone, which for a reply
/// is when it has been sent.
pub(super) struct Collected {
    content: Vec<u8>,
    reserved: usize,
    budget: Arc<OutputBudget>,
}

impl AsRef<[u8]> for Collected {
    fn as_ref(&self) -> &[u8] {
        &self.content
    }
}

impl Drop for Collected {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.reserved, Ordering::Relaxed);
    }
}

impl Collected {
    pub(super) fn new(budget: &Arc<OutputBudget>) -> Self {
        Collected {
            content: Vec::new(),
            reserved: 0,
            budget: budget.clone(),
        }
    }

    pub(super) fn into_bytes(self) -> Bytes {
        if self.content.is_empty() {
            Bytes::new()
        } else {
            Bytes::from_owner(self)
        }
    }

    /// Reads until the end.
    ///
    /// # Errors
    /// A sentence when the output exceeds `limit` bytes, or what is left for all processes.
    pub(super) async fn fill(
        &mut self,
        mut source: impl AsyncRead + Unpin,
        limit: usize,
    ) -> Result<(), String> {
        loop {
            self.make_room(limit)?;
            match source.read_buf(&mut self.content).await {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) => return Err(format!("read of the function's output: {error}")),
            }
        }
    }

    /// Makes room for the next read. Growth doubles, and is asked for before it is taken.
    fn make_room(&mut self, limit: usize) -> Result<(), String> {
        const FIRST: usize = 4 * 1024;
        if self.content.len() > limit {
            return Err(format!("output exceeds {limit} bytes"));
        }
        if self.content.capacity() > self.content.len() {
            return Ok(());
        }
        let growth = self.content.capacity().clamp(FIRST, limit.max(FIRST));
        let used = self.budget.used.fetch_add(growth, Ordering::Relaxed) + growth;
        self.reserved += growth;
        if used > self.budget.limit {
            return Err(format!(
                "output of all functions exceeds {} bytes",
                self.budget.limit
            ));
        }
        self.content.reserve_exact(growth);
        Ok(())
    }
}

/// The first part of a stream for the log; the rest is read and counted only.
pub(super) async fn read_for_log(mut source: impl AsyncRead + Unpin) -> (Vec<u8>, usize) {
    const KEPT: u64 = 64 * 1024;
    let mut kept = Vec::new();
    let mut dropped = 0;
    // A read error ends the stream as its end would: the process is gone.
    if (&mut source).take(KEPT).read_to_end(&mut kept).await.is_ok() {
        let mut scrap = vec![0; if kept.len() as u64 == KEPT { 16 * 1024 } else { 1 }];
        while let Ok(read @ 1..) = source.read(&mut scrap).await {
            dropped += read;
        }
    }
    (kept, dropped)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::{Collected, OutputBudget, read_for_log};

    #[tokio::test]
    async fn collects_within_its_bounds() {
        let budget = OutputBudget::new(1 << 20);
        let content = vec![7_u8; 100_000];
        let mut collected = Collected::new(&budget);
        collected.fill(content.as_slice(), 200_000).await.unwrap();
        assert!(budget.used.load(Ordering::Relaxed) >= 100_000);
        let bytes = collected.into_bytes();
        assert_eq!(bytes, content);
        drop(bytes);
        assert_eq!(
            budget.used.load(Ordering::Relaxed),
            0,
            "given back with the last copy"
        );
    }

    #[tokio::test]
    async fn stops_at_its_own_limit_and_at_everybodys() {
        let budget = OutputBudget::new(64 * 1024);
        let mut own = Collected::new(&budget);
        assert_eq!(
            own.fill(tokio::io::repeat(1), 10_000).await.unwrap_err(),
            "output exceeds 10000 bytes"
        );
        drop(own);
        let mut shared = Collected::new(&budget);
        let refused = shared.fill(tokio::io::repeat(1), 1 << 30).await.unwrap_err();
        assert_eq!(refused, "output of all functions exceeds 65536 bytes");
        drop(shared);
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn log_keeps_the_beginning() {
        let content = vec![b'x'; 100_000];
        let (kept, dropped) = read_for_log(content.as_slice()).await;
        assert_eq!((kept.len(), dropped), (65_536, 34_464));
        assert_eq!(read_for_log(&b"short"[..]).await, (b"short".to_vec(), 0));
    }
}
