//! The MIME type of bytes, by their signature.

/// The type that the first bytes tell, or `application/octet-stream`.
pub(super) fn mime_type(bytes: &[u8]) -> &'static str {
    let at = |offset: usize, signature: &[u8]| {
        bytes
            .get(offset..)
            .is_some_and(|rest| rest.starts_with(signature))
    };
    let table: [(&[u8], &'static str); 9] = [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"%PDF-", "application/pdf"),
        (b"PK\x03\x04", "application/zip"),
        (b"\x1f\x8b\x08", "application/gzip"),
        (b"OggS", "application/ogg"),
        (b"ID3", "audio/mpeg"),
    ];
    if let Some((_, mime)) = table.iter().find(|(signature, _)| at(0, signature)) {
        return mime;
    }
    match () {
        () if at(0, b"RIFF") && at(8, b"WEBP") => "image/webp",
        () if at(0, b"RIFF") && at(8, b"WAVE") => "audio/x-wav",
        () if at(4, b"ftyp") => "video/mp4",
        () => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::mime_type;

    #[test]
    fn signatures() {
        for (bytes, expected) in [
            (&b"\x89PNG\r\n\x1a\nrest"[..], "image/png"),
            (b"\xff\xd8\xff\xe0", "image/jpeg"),
            (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
            (b"RIFF\0\0\0\0", "application/octet-stream"),
            (b"<html>", "application/octet-stream"),
            (b"", "application/octet-stream"),
        ] {
            assert_eq!(mime_type(bytes), expected);
        }
    }
}
