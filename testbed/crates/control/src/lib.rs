//! The control API of a running lab: types and client.
