//! What the DFaaS agent and its surroundings share: environment variables, messages, header and metric names.
