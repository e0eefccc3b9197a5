//! Isolated processes: namespaces, a tiny init, cgroups v1 and v2.
