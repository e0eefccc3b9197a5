//! The documents of the platform's API.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::json::{Fields, parse};

/// The namespace of everything that names none.
pub const NAMESPACE: &str = "openfaas-fn";

/// A request to deploy or update one function.
///
/// Of the original's members `constraints`, `requests` and `readOnlyRootFilesystem` are accepted and ignored, as faasd
/// does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FunctionDeployment {
    /// The function's name.
    pub service: String,
    /// Image reference; it selects a manifest of the image catalogue.
    pub image: String,
    /// Empty, or [`NAMESPACE`].
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The command to run per request; overrides the image's.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub env_process: String,
    /// Environment of the function and settings of its watchdog.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env_vars: BTreeMap<String, String>,
    /// Names of secrets the function wants.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Free labels; DFaaS reads `dfaas.maxrate` and `dfaas.timeout_ms`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Free annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Resource limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<ResourceLimits>,
}

/// Limits of a function.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResourceLimits {
    /// Memory quantity such as `64Mi`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub memory: String,
    /// Processor quantity such as `500m`; faasd ignores it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cpu: String,
}

impl FunctionDeployment {
    /// Reads a request body.
    ///
    /// # Errors
    /// The sentence the real platform answers.
    pub(crate) fn from_body(body: &[u8]) -> Result<Self, String> {
        Self::from_value(&parse(body)?)
    }

    pub(crate) fn from_value(value: &serde_json::Value) -> Result<Self, String> {
        let fields = Fields::of(value, "types", "FunctionDeployment")?;
        let limits = fields.object("limits", "FunctionResources")?.map(|limits| {
            Ok::<_, String>(ResourceLimits {
                memory: limits.string("memory")?,
                cpu: limits.string("cpu")?,
            })
        });
        Ok(FunctionDeployment {
            service: fields.string("service")?,
            image: fields.string("image")?,
            namespace: fields.string("namespace")?,
            env_process: fields.string("envProcess")?,
            env_vars: fields.table("envVars")?,
            secrets: fields.strings("secrets")?,
            labels: fields.table("labels")?,
            annotations: fields.table("annotations")?,
            limits: limits.transpose()?,
        })
    }
}

/// A deployed function, members in the order of the wire. The list has no `availableReplicas`, the single
/// status has no `limits`: so does faasd.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FunctionStatus {
    /// The function's name.
    pub name: String,
    /// The image reference in full.
    pub image: String,
    /// The namespace.
    pub namespace: String,
    /// The command, if there is one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub env_process: String,
    /// Environment of image and deployment, without `PATH` and `fprocess`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env_vars: BTreeMap<String, String>,
    /// Secrets, as deployed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Labels, as deployed; `{}` when there are none.
    pub labels: BTreeMap<String, String>,
    /// Annotations, as deployed; `{}` when there are none.
    pub annotations: BTreeMap<String, String>,
    /// Only in the list, and only when there is a memory limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<ResourceLimits>,
    /// Invocations since the platform started; absent when zero.
    #[serde(skip_serializing_if = "is_zero")]
    pub invocation_count: u64,
    /// 1, or absent when scaled to zero.
    #[serde(skip_serializing_if = "is_zero")]
    pub replicas: u64,
    /// Only in the single status.
    #[serde(skip_serializing_if = "is_zero")]
    pub available_replicas: u64,
    /// RFC 3339 with nanoseconds.
    pub created_at: String,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the shape serde calls
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// `DELETE /system/functions`.
pub(crate) struct DeleteRequest {
    pub(crate) function: String,
    pub(crate) namespace: String,
}

impl DeleteRequest {
    pub(crate) fn from_body(body: &[u8]) -> Result<Self, String> {
        let value = parse(body)?;
        let fields = Fields::of(&value, "types", "DeleteFunctionRequest")?;
        Ok(DeleteRequest {
            function: fields.string("functionName")?,
            namespace: fields.string("namespace")?,
        })
    }
}

/// `POST /system/scale-function/{name}`.
pub(crate) struct ScaleRequest {
    pub(crate) service: String,
    pub(crate) replicas: u64,
    pub(crate) namespace: String,
}

impl ScaleRequest {
    pub(crate) fn from_body(body: &[u8]) -> Result<Self, String> {
        let value = parse(body)?;
        let fields = Fields::of(&value, "types", "ScaleServiceRequest")?;
        Ok(ScaleRequest {
            service: fields.string("serviceName")?,
            replicas: fields.unsigned("replicas")?,
            namespace: fields.string("namespace")?,
        })
    }
}
