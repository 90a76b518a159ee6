//! Who may ask: users of the database, by name and password.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;

use crate::ask::{literal, text};
use crate::plane::Plane;
use crate::reply::Refusal;

/// Lets a request through where its user and password are right.
pub(crate) async fn check(
    State(plane): State<Plane>,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let refused = || {
        let message = "User unauthorized: wrong name or password";
        Refusal::new(StatusCode::UNAUTHORIZED, "unauthorized_error", message)
    };
    let header = request.headers().get(AUTHORIZATION);
    let pair = header
        .and_then(|it| it.to_str().ok()?.strip_prefix("Basic "))
        .and_then(decode)
        .ok_or_else(refused)?;
    let (user, password) = pair.split_once(':').ok_or_else(refused)?;
    let known = format!(
        "SELECT count(*) FROM users WHERE username = {} \
         AND hash = encode(sha256(convert_to(salt || {}, 'UTF8')), 'hex')",
        literal(user),
        literal(password)
    );
    match text(&plane.server, known).await?.as_str() {
        "1" => Ok(next.run(request).await),
        _ => Err(refused()),
    }
}

/// Base64, as a header has it.
fn decode(text: &str) -> Option<String> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        held = held << 6 | u32::from(digit(byte)?);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    String::from_utf8(bytes).ok()
}
