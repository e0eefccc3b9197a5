//! The user-space link engine: delay, loss and rate between two interfaces.
