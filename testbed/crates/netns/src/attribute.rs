//! Netlink attributes (type, length, value) that the packet crates have no types for.

/// Alignment of messages and attributes.
const ALIGNMENT: usize = 4;
/// Length and type, two bytes each.
const HEADER: usize = 4;
/// The two top bits of a type are flags (nested, network byte order).
const TYPE_MASK: u16 = 0x3fff;

/// Rounds up to the alignment of netlink. Saturates, because lengths come from outside.
pub(crate) fn align(length: usize) -> usize {
    length.checked_next_multiple_of(ALIGNMENT).unwrap_or(usize::MAX)
}

/// Builds a sequence of attributes.
#[derive(Debug, Default)]
pub(crate) struct Attributes {
    bytes: Vec<u8>,
}

impl Attributes {
    /// Appends one attribute. A value too long for the 16-bit length field is a programming error, as all values here are small.
    pub(crate) fn put(&mut self, kind: u16, value: &[u8]) {
        let start = self.open(kind);
        self.bytes.extend_from_slice(value);
        self.close(start);
    }

    /// Appends a string with its terminating zero.
    pub(crate) fn put_text(&mut self, kind: u16, text: &str) {
        let start = self.open(kind);
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
        self.close(start);
    }

    /// Appends an attribute that holds attributes.
    pub(crate) fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let start = self.open(kind);
        fill(self);
        self.close(start);
    }

    /// Appends an attribute that holds a fixed structure followed by attributes, as netem's options are.
    pub(crate) fn nest_after(&mut self, kind: u16, fixed: &[u8], fill: impl FnOnce(&mut Self)) {
        let start = self.open(kind);
        self.bytes.extend_from_slice(fixed);
        fill(self);
        self.close(start);
    }

    /// The finished bytes.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn open(&mut self, kind: u16) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0, 0]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        start
    }

    fn close(&mut self, start: usize) {
        let length = self.bytes.len() - start;
        debug_assert!(length <= usize::from(u16::MAX), "attribute too long: {length}");
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.bytes.resize(align(self.bytes.len()), 0);
    }
}

/// Walks over attributes as (type without flags, value); stops at the first malformed one.
pub(crate) fn iterate(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(read_u16(bytes, 0)?);
        let kind = read_u16(bytes, 2)? & TYPE_MASK;
        let value = bytes.get(HEADER..length)?;
        bytes = bytes.get(align(length)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The value of the first attribute of that type.
pub(crate) fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    iterate(bytes)
        .find(|(found, _)| *found == kind)
        .map(|(_, value)| value)
}

/// A native-endian number at an offset.
pub(crate) fn read_u16(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes
        .get(offset..)?
        .first_chunk()
        .map(|chunk| u16::from_ne_bytes(*chunk))
}

/// A native-endian number at an offset.
pub(crate) fn read_u32(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes
        .get(offset..)?
        .first_chunk()
        .map(|chunk| u32::from_ne_bytes(*chunk))
}

/// A native-endian number at an offset.
pub(crate) fn read_u64(bytes: &[u8], offset: usize) -> Option<u64> {
    bytes
        .get(offset..)?
        .first_chunk()
        .map(|chunk| u64::from_ne_bytes(*chunk))
}

/// A zero-terminated string; what follows the zero is ignored.
pub(crate) fn read_text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let mut attributes = Attributes::default();
        attributes.put_text(1, "netem");
        attributes.nest(2, |inner| {
            inner.put(7, &[1, 2, 3]);
            inner.put(8, &9_u32.to_ne_bytes());
        });
        let bytes = attributes.into_bytes();
        assert_eq!(bytes.len() % ALIGNMENT, 0);
        assert_eq!(find(&bytes, 1).map(read_text).as_deref(), Some("netem"));
        let inner = find(&bytes, 2).unwrap();
        assert_eq!(find(inner, 7), Some([1, 2, 3].as_slice()));
        assert_eq!(find(inner, 8).and_then(|value| read_u32(value, 0)), Some(9));
        assert_eq!(find(&bytes, 3), None);
    }

    #[test]
    fn malformed_input_ends_the_walk() {
        for bytes in [
            [].as_slice(),
            &[1],
            &[3, 0, 1, 0],          // shorter than its own header
            &[200, 0, 1, 0, 5],     // longer than the buffer
            &[0, 0, 0, 0, 0, 0, 0], // would never advance
        ] {
            assert_eq!(iterate(bytes).count(), 0, "{bytes:?}");
        }
    }
}
