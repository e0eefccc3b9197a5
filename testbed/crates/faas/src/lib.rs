//! Embedded OpenFaaS-compatible gateway, provider and watchdog.
