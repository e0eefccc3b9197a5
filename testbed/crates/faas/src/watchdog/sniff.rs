//! Guessing a reply's content type from its first bytes, by the tables of the WHATWG MIME sniffing standard
//! (<https://mimesniff.spec.whatwg.org/>), for the signatures a Go server knows.

/// How much of a reply is looked at.
const LOOKED_AT: usize = 512;

const TEXT: &str = "text/plain; charset=utf-8";

/// Start of the content → type.
const SIGNATURES: &[(&[u8], &str)] = &[
    (b"%PDF-", "application/pdf"),
    (b"%!PS-Adobe-", "application/postscript"),
    (b"\xfe\xff", "text/plain; charset=utf-16be"),
    (b"\xff\xfe", "text/plain; charset=utf-16le"),
    (b"\xef\xbb\xbf", TEXT),
    (b"\x00\x00\x01\x00", "image/x-icon"),
    (b"\x00\x00\x02\x00", "image/x-icon"),
    (b"BM", "image/bmp"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"ID3", "audio/mpeg"),
    (b"OggS\x00", "application/ogg"),
    (b"MThd\x00\x00\x00\x06", "audio/midi"),
    (b"\x1aE\xdf\xa3", "video/webm"),
    (b"\x00\x01\x00\x00", "font/ttf"),
    (b"OTTO", "font/otf"),
    (b"ttcf", "font/collection"),
    (b"wOFF", "font/woff"),
    (b"wOF2", "font/woff2"),
    (b"\x1f\x8b\x08", "application/x-gzip"),
    (b"PK\x03\x04", "application/zip"),
    (b"Rar!\x1a\x07\x00", "application/x-rar-compressed"),
    (b"Rar!\x1a\x07\x01\x00", "application/x-rar-compressed"),
    (b"\x00asm", "application/wasm"),
];

/// `RIFF`/`FORM` containers by their bytes 8..
const CONTAINERS: &[(&[u8], &[u8], &str)] = &[
    (b"RIFF", b"WEBPVP", "image/webp"),
    (b"RIFF", b"AVI ", "video/avi"),
    (b"RIFF", b"WAVE", "audio/wave"),
    (b"FORM", b"AIFF", "audio/aiff"),
];

const TAGS: &[&str] = &[
    "<!DOCTYPE HTML",
    "<HTML",
    "<HEAD",
    "<SCRIPT",
    "<IFRAME",
    "<H1",
    "<DIV",
    "<FONT",
    "<TABLE",
    "<A",
    "<STYLE",
    "<TITLE",
    "<B",
    "<BODY",
    "<BR",
    "<P",
    "<!--",
];

/// The type of `content`, which is not empty.
pub(crate) fn content_type(content: &[u8]) -> &'static str {
    let head = &content[..content.len().min(LOOKED_AT)];
    let blank = head
        .iter()
        .take_while(|byte| matches!(byte, b'\t' | b'\n' | 0x0c | b'\r' | b' '))
        .count();
    let text = &head[blank..];
    if TAGS.iter().any(|tag| starts_with_tag(text, tag.as_bytes())) {
        return "text/html; charset=utf-8";
    }
    if text.starts_with(b"<?xml") {
        return "text/xml; charset=utf-8";
    }
    if let Some((_, kind)) = SIGNATURES
        .iter()
        .find(|(signature, _)| head.starts_with(signature))
    {
        return kind;
    }
    let contained = |(outer, inner, _): &&(&[u8], &[u8], &str)| {
        head.starts_with(outer) && head.get(8..).is_some_and(|rest| rest.starts_with(inner))
    };
    if let Some((_, _, kind)) = CONTAINERS.iter().find(contained) {
        return kind;
    }
    if is_mp4(head) {
        return "video/mp4";
    }
    if head
        .iter()
        .any(|byte| matches!(byte, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f))
    {
        return "application/octet-stream";
    }
    TEXT
}

fn starts_with_tag(text: &[u8], tag: &[u8]) -> bool {
    text.len() > tag.len()
        && text[..tag.len()].eq_ignore_ascii_case(tag)
        && (tag == b"<!--" || matches!(text[tag.len()], b' ' | b'>'))
}

/// An ISO media file whose first box names an `mp4` brand.
fn is_mp4(head: &[u8]) -> bool {
    let Some(size) = head
        .first_chunk::<4>()
        .map(|bytes| u32::from_be_bytes(*bytes) as usize)
    else {
        return false;
    };
    if head.len() < 12 || size > head.len() || size % 4 != 0 || &head[4..8] != b"ftyp" {
        return false;
    }
    (8..size)
        .step_by(4)
        .any(|at| at != 12 && head[at..].starts_with(b"mp4"))
}

#[cfg(test)]
mod tests {
    use super::content_type;

    #[test]
    fn guesses_common_types() {
        let cases: &[(&[u8], &str)] = &[
            (b"hello\n", "text/plain; charset=utf-8"),
            (b"  <html><body>", "text/html; charset=utf-8"),
            (b"<htmlx>", "text/plain; charset=utf-8"),
            (b"<p", "text/plain; charset=utf-8"),
            (b"<!-- x -->", "text/html; charset=utf-8"),
            (b"\n<?xml version='1.0'?>", "text/xml; charset=utf-8"),
            (b"\x89PNG\r\n\x1a\n....", "image/png"),
            (b"RIFF\x01\x02\x03\x04WAVEfmt ", "audio/wave"),
            (
                b"\x00\x00\x00\x10ftypisom\x00\x00\x00\x00",
                "application/octet-stream",
            ),
            (b"\x00\x00\x00\x14ftypisom\x00\x00\x00\x00mp42", "video/mp4"),
            (b"\x01binary", "application/octet-stream"),
            (b"\xc3\xa9t\xc3\xa9", "text/plain; charset=utf-8"),
        ];
        for (content, kind) in cases {
            assert_eq!(content_type(content), *kind, "{content:?}");
        }
    }
}
