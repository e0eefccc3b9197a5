//! The log, on standard error.

use dfaas_agent::config::{LogConfig, LogFormat};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, fmt, reload};

/// Changes what is logged while the agent runs.
pub(crate) struct Log {
    filter: reload::Handle<Targets, Registry>,
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

/// By target alone: an `EnvFilter` would bring an engine for regular expressions, and keep it in memory.
fn filter(config: &LogConfig) -> Targets {
    if config.debug {
        Targets::new()
            .with_default(LevelFilter::INFO)
            .with_target("dfaas_agent", LevelFilter::DEBUG)
    } else {
        Targets::new()
            .with_default(LevelFilter::WARN)
            .with_target("dfaas_agent", LevelFilter::INFO)
            // A first node without peers is no news; the Kademlia library warns of it.
            .with_target("libp2p_kad", LevelFilter::ERROR)
    }
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
