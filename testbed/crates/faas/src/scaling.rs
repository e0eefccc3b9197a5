//! How many replicas a function gets: bounds from its labels, and what an alert of Prometheus changes.

use std::collections::BTreeMap;

use crate::function::Function;
use crate::json::{Fields, parse};
use crate::registry::{Refusal, Registry};
use crate::route::split_namespace;
use crate::types::NAMESPACE;

/// Most replicas the original's gateway asks for.
pub(crate) const MOST: u64 = 5;
/// Most replicas one function may have, whoever asks.
pub(crate) const LIMIT: u64 = 100;

/// What labels say about a function's replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) least: u64,
    pub(crate) most: u64,
    /// Percentage of `most` that one alert adds.
    factor: u64,
}

impl Bounds {
    pub(crate) fn of(labels: &BTreeMap<String, String>) -> Self {
        let number = |name: &str, default: u64| {
            labels
                .get(&format!("com.openfaas.scale.{name}"))
                .and_then(|text| text.parse().ok())
                .unwrap_or(default)
        };
        Bounds {
            least: number("min", 1).min(LIMIT),
            most: number("max", MOST).min(LIMIT),
            factor: number("factor", 10).min(100),
        }
    }

    /// What an alert makes of `current` replicas.
    fn after(self, firing: bool, current: u64) -> u64 {
        let step = (self.most * self.factor).div_ceil(100);
        if firing && step > 0 {
            (current + step).min(self.most)
        } else {
            self.least
        }
    }
}

/// `POST /system/alert`: what Alertmanager sends.
///
/// # Errors
/// 400 for what is no alert, 500 with one line for each function that cannot be scaled.
pub(crate) fn handle_alert(registry: &Registry, body: &[u8]) -> Result<(), Refusal> {
    let alerts =
        read(body).ok_or_else(|| Refusal::Invalid("Unable to parse alert, bad format.".to_owned()))?;
    let mut failures = String::new();
    for (function, firing) in alerts {
        if let Err(reason) = scale(registry, &function, firing) {
            let number = failures.lines().count();
            failures.push_str(&format!("[{number}] {reason}\n"));
        }
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(Refusal::Failed(failures))
    }
}

/// Names of functions, and whether the alert about them is firing (or resolved).
pub(crate) fn read(body: &[u8]) -> Option<Vec<(String, bool)>> {
    let value = parse(body).ok()?;
    let fields = Fields::of(&value, "requests", "PrometheusAlert").ok()?;
    fields.string("receiver").ok()?;
    fields.string("status").ok()?;
    let alerts = fields.list("alerts", "PrometheusInnerAlert").ok()?;
    let alert = |alert: &Fields<'_>| {
        let labels = alert.object("labels", "PrometheusInnerAlertLabel").ok()?;
        let function = labels.map(|labels| labels.string("function_name").ok());
        Some((
            function.unwrap_or(Some(String::new()))?,
            alert.string("status").ok()? == "firing",
        ))
    };
    alerts.iter().map(alert).collect()
}

fn scale(registry: &Registry, name: &str, firing: bool) -> Result<(), String> {
    if name.is_empty() {
        return Ok(());
    }
    let (service, namespace) = split_namespace(name);
    let namespace = if namespace.is_empty() {
        NAMESPACE
    } else {
        namespace
    };
    let unknown = |code: u16, body: &str| {
        format!("server returned non-200 status code ({code}) for function, {service}, body: {body}")
    };
    registry
        .namespaces
        .resolve(namespace)
        .map_err(|refusal| unknown(400, &format!("{}\n", refusal.text())))?;
    let function = registry
        .find(namespace, service)
        .ok_or_else(|| unknown(404, ""))?;
    let wanted = wanted(&function, firing);
    if wanted == function.replicas() {
        return Ok(());
    }
    registry
        .scale(namespace, service, wanted)
        .map_err(|refusal| refusal.text().to_owned())
}

fn wanted(function: &Function, firing: bool) -> u64 {
    let mut bounds = Bounds::of(&function.deployment.labels);
    bounds.most = bounds.most.min(MOST);
    bounds.after(firing, function.replicas())
}

#[cfg(test)]
mod tests {
    use super::{Bounds, read};

    #[test]
    fn alerts_move_replicas_between_the_bounds_of_the_labels() {
        let labels = [
            ("com.openfaas.scale.min", "2"),
            ("com.openfaas.scale.factor", "50"),
        ];
        let labels = labels
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        let bounds = Bounds::of(&labels);
        assert_eq!((bounds.least, bounds.most), (2, 5));
        assert_eq!(bounds.after(true, 1), 4);
        assert_eq!(bounds.after(true, 4), 5);
        assert_eq!(bounds.after(false, 5), 2);
        assert_eq!(Bounds::of(&[].into()).after(true, 1), 2);
    }

    #[test]
    fn alerts_are_read() {
        let alert = br#"{"receiver":"r","status":"firing","alerts":[
            {"status":"firing","labels":{"alertname":"A","function_name":"cat.openfaas-fn"}},
            {"status":"resolved","labels":{"function_name":"b"}}, {}]}"#;
        let expected = [("cat.openfaas-fn", true), ("b", false), ("", false)];
        assert_eq!(
            read(alert).unwrap(),
            expected.map(|(name, firing)| (name.to_owned(), firing))
        );
        assert_eq!(read(b"{}").unwrap(), []);
        for wrong in ["", "[]", r#"{"alerts":{}}"#, r#"{"alerts":[{"labels":3}]}"#] {
            assert!(read(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }
}
