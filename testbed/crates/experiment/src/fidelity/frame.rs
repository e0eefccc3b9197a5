//! Probe frames.

/// Where probes go: a group address that no bridge forwards (LLDP's "nearest bridge").
const TO: [u8; 6] = [0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e];
/// EtherType for local experiments (IEEE 802).
const ETHER_TYPE: [u8; 2] = [0x88, 0xb5];
const MAGIC: [u8; 4] = *b"dfFP";
/// Ethernet header.
pub(super) const HEADER: usize = 14;
/// Header and content; a probe is at least this long.
pub(super) const SHORTEST: usize = HEADER + 22;

/// What a frame was sent for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Delay and loss.
    Probe,
    /// To fill the link.
    Bulk,
    /// The longest packet.
    Long,
}

/// The content of a probe frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Probe {
    /// Which end sent it, 0 or 1.
    pub(super) end: u8,
    pub(super) purpose: Purpose,
    pub(super) number: u32,
    /// When it was sent, nanoseconds since the Unix epoch.
    pub(super) sent: u64,
    /// Number of the measurement, so that a late frame of one before is not counted.
    pub(super) round: u32,
}

impl Probe {
    /// Writes the frame over the beginning of `buffer`, which is as long as the frame shall be.
    pub(super) fn write(&self, source: [u8; 6], buffer: &mut [u8]) {
        let purpose = match self.purpose {
            Purpose::Probe => 1,
            Purpose::Bulk => 2,
            Purpose::Long => 3,
        };
        let mut head = Vec::with_capacity(SHORTEST);
        head.extend(TO);
        head.extend(source);
        head.extend(ETHER_TYPE);
        head.extend(MAGIC);
        head.extend([self.end, purpose]);
        head.extend(self.number.to_be_bytes());
        head.extend(self.sent.to_be_bytes());
        head.extend(self.round.to_be_bytes());
        if let Some(place) = buffer.get_mut(..head.len()) {
            place.copy_from_slice(&head);
        }
    }

    /// Reads a frame; none if it is not a probe.
    pub(super) fn read(frame: &[u8]) -> Option<Probe> {
        let content = frame.get(HEADER..SHORTEST)?;
        if frame.get(12..14)? != ETHER_TYPE || content.get(..4)? != MAGIC {
            return None;
        }
        let purpose = match content.get(5)? {
            1 => Purpose::Probe,
            2 => Purpose::Bulk,
            3 => Purpose::Long,
            _ => return None,
        };
        Some(Probe {
            end: *content.get(4)?,
            purpose,
            number: u32::from_be_bytes(content.get(6..10)?.try_into().ok()?),
            sent: u64::from_be_bytes(content.get(10..18)?.try_into().ok()?),
            round: u32::from_be_bytes(content.get(18..22)?.try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let probe = Probe {
            end: 1,
            purpose: Purpose::Bulk,
            number: 70_000,
            sent: 1_700_000_000_123_456_789,
            round: 3,
        };
        let mut frame = [0; 64];
        probe.write([2, 0, 0, 0, 0, 1], &mut frame);
        assert_eq!(Probe::read(&frame), Some(probe));
        assert_eq!(Probe::read(&frame[..SHORTEST - 1]), None);
        frame[13] = 0;
        assert_eq!(Probe::read(&frame), None);
    }
}
