//! of-watchdog's mode `static`: files of the function.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, IF_MODIFIED_SINCE, LAST_MODIFIED, LOCATION};
use http::{Method, StatusCode};
use jiff::Timestamp;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

use super::fork::Subject;
use super::{Invocation, Verdict, content_type};
use crate::function::{Function, Replica};
use crate::reply::{self, Reply};

/// Types by the ends of names.
const TYPES: [(&str, &str); 14] = [
    ("css", "text/css; charset=utf-8"),
    ("gif", "image/gif"),
    ("htm", "text/html; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("txt", "text/plain; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("xml", "text/xml; charset=utf-8"),
];
/// The first part of a file, by which its type is guessed.
const FIRST: usize = 16 * 1024;

/// What matters of a request.
struct Asked {
    method: Method,
    path: Vec<u8>,
    /// The time of the copy that the client has.
    known: Option<HeaderValue>,
}

/// Serves one request.
pub(super) async fn serve(function: &Function, replica: &Replica, invocation: Invocation) -> Verdict {
    let subject = Subject::of(function, &invocation);
    let asked = Asked {
        method: invocation.method,
        path: invocation.path,
        known: invocation.headers.get(IF_MODIFIED_SINCE).cloned(),
    };
    let reply = match find(function, replica, &asked).await {
        Ok(reply) => reply,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            reply::error(StatusCode::FORBIDDEN, "403 Forbidden")
        }
        Err(_) => reply::not_found(),
    };
    subject.log(function, reply.status().as_str(), -1);
    Verdict::Reply(Box::new(reply))
}

async fn find(function: &Function, replica: &Replica, request: &Asked) -> io::Result<Reply> {
    if !matches!(request.method, Method::GET | Method::HEAD) {
        return Ok(reply::method_not_allowed());
    }
    let asked = PathBuf::from(OsString::from_vec(request.path.clone()));
    let is_plain = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
    if !asked.components().all(is_plain) {
        return Ok(reply::error(StatusCode::BAD_REQUEST, "invalid URL path"));
    }
    let inside = asked.strip_prefix("/").unwrap_or(&asked);
    let mut path = Path::new(&function.settings.static_path).join(inside);
    let mut file = open(replica, &path).await?;
    if file.metadata()?.is_dir() {
        if !request.path.ends_with(b"/") {
            let name = inside.file_name().unwrap_or_default().to_string_lossy();
            let mut reply = reply::empty(StatusCode::MOVED_PERMANENTLY);
            let place = HeaderValue::from_str(&format!("{name}/")).map_err(io::Error::other)?;
            reply.headers_mut().insert(LOCATION, place);
            return Ok(reply);
        }
        path = path.join("index.html");
        file = open(replica, &path).await?;
    }
    send(file, &path, request).await
}

async fn open(replica: &Replica, path: &Path) -> io::Result<File> {
    replica.instance.open(path.as_os_str()).await.map(File::from)
}

async fn send(file: File, path: &Path, request: &Asked) -> io::Result<Reply> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    let modified = Timestamp::try_from(modified).unwrap_or(Timestamp::UNIX_EPOCH);
    let modified = modified.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let modified = HeaderValue::from_str(&modified).map_err(io::Error::other)?;
    let mut file = tokio::fs::File::from_std(file);
    let mut first = BytesMut::with_capacity(FIRST);
    while first.len() < FIRST && file.read_buf(&mut first).await? > 0 {}
    let mut reply = if request.known.as_ref() == Some(&modified) {
        reply::empty(StatusCode::NOT_MODIFIED)
    } else if metadata.len() <= first.len() as u64 {
        reply::with_body(StatusCode::OK, first.clone().freeze())
    } else {
        let (sender, parts) = mpsc::channel(2);
        tokio::spawn(read(file, first.clone().freeze(), sender));
        let mut reply = reply::with_stream(StatusCode::OK, parts);
        reply.headers_mut().insert(CONTENT_LENGTH, metadata.len().into());
        reply
    };
    if reply.status() == StatusCode::OK {
        let end = path.extension().unwrap_or_default();
        let by_name = TYPES.iter().find(|(name, _)| end == *name).map(|(_, kind)| *kind);
        let kind = by_name.unwrap_or_else(|| content_type(&first));
        reply
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    reply.headers_mut().insert(LAST_MODIFIED, modified);
    Ok(reply)
}

async fn read(mut file: tokio::fs::File, first: Bytes, sender: mpsc::Sender<io::Result<Bytes>>) {
    let mut next = Ok(first);
    loop {
        let is_last = next.is_err();
        if sender.send(next).await.is_err() || is_last {
            return;
        }
        let mut part = BytesMut::with_capacity(64 * 1024);
        next = match file.read_buf(&mut part).await {
            Ok(0) => return,
            Ok(_) => Ok(part.freeze()),
            Err(error) => Err(error),
        };
    }
}
