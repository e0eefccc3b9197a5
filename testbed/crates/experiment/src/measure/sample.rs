/// What later judgement needs to know of one request; 32 bytes, as a long run keeps millions of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Intended send time, in nanoseconds after t = 0.
    pub(crate) offset: u64,
    /// From the intended send time to the end, in nanoseconds.
    pub(crate) latency: u64,
    /// How late the request was sent, in microseconds.
    pub(crate) sent_after: u32,
    /// HTTP status, 0 for no response.
    pub(crate) code: u16,
    /// Index of the flow in the cell.
    pub(crate) flow: u16,
    /// Index of the node whose answer came back, whatever its status; unknown when the answer does not say.
    pub(crate) answered_by: Option<u16>,
    /// Whether another node served it than the one it was sent to.
    pub(crate) forwarded: bool,
    /// Whether the generator sent it at all.
    pub(crate) sent: bool,
}

impl Sample {
    /// The node that served the request: a refusal or an error is an answer, but no service.
    pub(crate) fn served_by(&self) -> Option<u16> {
        self.answered_by.filter(|_| is_success(self.code))
    }
}

/// Whether a status counts as success; the range is vegeta's, so that success rates compare with published ones.
pub(crate) fn is_success(code: u16) -> bool {
    (200..400).contains(&code)
}
