//! HTTP Basic authentication with the secret files of faasd.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::error::FaasError;

/// User and password that open the `/system` resources.
#[derive(Clone)]
pub struct Credentials {
    user: String,
    password: String,
}

/// Never shows the password.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Credentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    pub(crate) fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Credentials {
            user: user.into(),
            password: password.into(),
        }
    }

    /// Reads `basic-auth-user` and `basic-auth-password` in `directory`, white space around them aside.
    ///
    /// # Errors
    /// [`FaasError::Read`] and [`FaasError::EmptyCredential`] name the file.
    pub fn from_directory(directory: &Path) -> Result<Self, FaasError> {
        let read = |name: &str| {
            let path = directory.join(name);
            let content = fs::read_to_string(&path).map_err(|source| FaasError::Read {
                path: path.clone(),
                source,
            })?;
            match content.trim() {
                "" => Err(FaasError::EmptyCredential { path }),
                content => Ok(content.to_owned()),
            }
        };
        Ok(Self::new(read("basic-auth-user")?, read("basic-auth-password")?))
    }

    /// Whether a request carries them.
    pub(crate) fn admit(&self, headers: &HeaderMap) -> bool {
        let given = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
            .and_then(|(_, encoded)| STANDARD.decode(encoded.trim()).ok());
        let wanted = format!("{}:{}", self.user, self.password);
        given.is_some_and(|given| equal(&given, wanted.as_bytes()))
    }
}

/// Compares in a time that does not tell where the difference is.
fn equal(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use http::HeaderMap;

    use super::Credentials;

    #[test]
    fn reads_faasds_files_and_compares() {
        let directory = tempfile::tempdir().unwrap();
        let missing = Credentials::from_directory(directory.path()).unwrap_err();
        assert!(missing.to_string().contains("basic-auth-user"), "{missing}");
        std::fs::write(directory.path().join("basic-auth-user"), "admin\n").unwrap();
        std::fs::write(directory.path().join("basic-auth-password"), " \n").unwrap();
        let empty = Credentials::from_directory(directory.path()).unwrap_err();
        assert!(empty.to_string().contains("basic-auth-password"), "{empty}");
        std::fs::write(directory.path().join("basic-auth-password"), "s3:cret\n").unwrap();
        let credentials = Credentials::from_directory(directory.path()).unwrap();
        let headers = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("authorization", text.parse().unwrap());
            headers
        };
        assert!(credentials.admit(&headers(&format!("basic {}", STANDARD.encode("admin:s3:cret")))));
        assert!(!credentials.admit(&headers(&format!("Basic {}", STANDARD.encode("admin:s3:cre")))));
        assert!(!credentials.admit(&headers("Basic ???")));
        assert!(!credentials.admit(&headers("Bearer x")));
        assert!(!credentials.admit(&HeaderMap::new()));
        assert!(!format!("{credentials:?}").contains("s3:cret"));
    }
}
