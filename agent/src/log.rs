//! The log, on standard error.

use dfaas_agent::config::{LogConfig, LogFormat};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

/// Changes what is logged while the agent runs.
pub(crate) struct Log {
    filter: reload::Handle<EnvFilter, Registry>,
}

impl Log {
    /// Begins to log. Colours, times and JSON stay as they are from here on.
    pub(crate) fn start(config: &LogConfig) -> Self {
        let (filter, handle) = reload::Layer::new(filter(config));
        tracing_subscriber::registry()
            .with(filter)
            .with(format(config))
            .init();
        Self { filter: handle }
    }

    /// Follows AGENT_DEBUG.
    pub(crate) fn set(&self, config: &LogConfig) {
        if let Err(error) = self.filter.reload(filter(config)) {
            tracing::warn!(%error, "the log stays as detailed as it was");
        }
    }
}

fn filter(config: &LogConfig) -> EnvFilter {
    // A first node without peers is no news; the Kademlia library warns of it.
    EnvFilter::new(if config.debug {
        "info,dfaas_agent=debug"
    } else {
        "warn,libp2p_kad=error,dfaas_agent=info"
    })
}

type Boxed<S> = Box<dyn Layer<S> + Send + Sync>;

fn format<S>(config: &LogConfig) -> Boxed<S>
where
    S: tracing::Subscriber + for<'span> tracing_subscriber::registry::LookupSpan<'span>,
{
    let text = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(config.colors)
        .with_target(false);
    match (config.format, config.datetime) {
        (LogFormat::Text, true) => text.boxed(),
        (LogFormat::Text, false) => text.without_time().boxed(),
        // A program reads them: fields beside the message, not below it.
        (LogFormat::Json, true) => text.json().flatten_event(true).boxed(),
        (LogFormat::Json, false) => text.json().flatten_event(true).without_time().boxed(),
    }
}
