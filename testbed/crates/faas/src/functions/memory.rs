//! A function that takes memory and gives it back.

use std::time::Duration;

use dfaas_faas::{parse_duration, parse_quantity};

use super::{body, variable};

/// What one page has at least; one byte of each is written, so that the kernel really gives it.
const PAGE: usize = 4096;

/// Takes as much memory as the body says, or else `memory`, for as long as `duration` says.
pub(super) fn eat() -> Result<String, String> {
    let text = body()?;
    let amount = match text.trim() {
        "" => variable("memory"),
        amount => amount.to_owned(),
    };
    let bytes = parse_quantity(&amount)
        .ok_or_else(|| format!("memory {amount:?}: expected a quantity such as 64Mi"))?;
    let text = variable("duration");
    let time = match text.as_str() {
        "" => Duration::from_secs(1),
        text => parse_duration(text)
            .ok_or_else(|| format!("duration {text:?}: expected a time such as 500ms or 2s"))?,
    };
    let held = hold(bytes)?;
    std::thread::sleep(time);
    Ok(format!(
        "Ate {} bytes for {:.3}s\n",
        held.len(),
        time.as_secs_f64()
    ))
}

/// Memory that is really there.
///
/// # Errors
/// A sentence when there is not as much.
pub(super) fn hold(bytes: u64) -> Result<Vec<u8>, String> {
    let missing = || format!("cannot allocate {bytes} bytes");
    let length = usize::try_from(bytes).map_err(|_| missing())?;
    let mut held = Vec::new();
    held.try_reserve_exact(length).map_err(|_| missing())?;
    held.resize(length, 0);
    for page in held.chunks_mut(PAGE) {
        page[0] = 1;
    }
    Ok(std::hint::black_box(held))
}
