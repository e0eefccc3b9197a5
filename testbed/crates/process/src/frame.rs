//! Messages on a stream: four bytes of length (little endian), then JSON.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// No message is longer; a longer length means that the stream is out of step.
const LONGEST: usize = 64 << 20;

pub(crate) fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message)?;
    let length = frame.len() - 4;
    if length > LONGEST {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("a message of {length} bytes is too long"),
        ));
    }
    frame[..4].copy_from_slice(&(length as u32).to_le_bytes());
    Ok(frame)
}

/// Collects bytes until a message is whole.
#[derive(Debug, Default)]
pub(crate) struct FrameBuffer {
    bytes: Vec<u8>,
}

impl FrameBuffer {
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole message, `None` if it has not arrived yet.
    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let Some(header) = self.bytes.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*header) as usize;
        if length > LONGEST {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a message of {length} bytes is too long"),
            ));
        }
        let Some(text) = self.bytes.get(4..4 + length) else {
            return Ok(None);
        };
        let message = serde_json::from_slice(text);
        self.bytes.drain(..4 + length);
        if self.bytes.is_empty() {
            // One large message must not stay in the memory of a thousand inits.
            self.bytes = Vec::new();
        }
        Ok(Some(message?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_any_split() {
        let mut stream = encode(&vec!["one", "two"]).expect("short");
        stream.extend(encode(&Vec::<String>::new()).expect("short"));
        let mut buffer = FrameBuffer::default();
        let mut seen: Vec<Vec<String>> = Vec::new();
        for byte in stream {
            buffer.extend(&[byte]);
            seen.extend(buffer.next().expect("in step"));
        }
        assert_eq!(seen, [vec!["one".to_owned(), "two".to_owned()], vec![]]);
    }

    #[test]
    fn garbage_is_an_error_and_not_an_allocation() {
        let mut buffer = FrameBuffer::default();
        buffer.extend(&[0xff; 8]);
        assert!(buffer.next::<String>().is_err());
        let mut buffer = FrameBuffer::default();
        buffer.extend(&[1, 0, 0, 0, b'{']);
        assert!(buffer.next::<String>().is_err());
    }
}
