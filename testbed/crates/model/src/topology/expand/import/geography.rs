//! Delay from places: light in glass along the shortest line on the globe.

use std::time::Duration;

/// Mean radius of the earth in kilometres (IUGG, R1).
const EARTH: f64 = 6_371.008_8;
/// Kilometres per second in fibre: two thirds of the speed of light, the refractive index of glass being about 1.5.
const IN_GLASS: f64 = 299_792.458 * 2.0 / 3.0;

/// Latitude and longitude in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) latitude: f64,
    pub(super) longitude: f64,
}

/// The least delay of a fibre between two places, to the microsecond: real cables are longer.
pub(super) fn delay(one: Place, other: Place) -> Duration {
    Duration::from_micros((distance(one, other) / IN_GLASS * 1e6).round() as u64)
}

/// Kilometres along the great circle (haversine formula: exact enough for neighbours too).
fn distance(one: Place, other: Place) -> f64 {
    let half = |from: f64, to: f64| ((to - from).to_radians() / 2.0).sin().powi(2);
    let chord = half(one.latitude, other.latitude)
        + one.latitude.to_radians().cos()
            * other.latitude.to_radians().cos()
            * half(one.longitude, other.longitude);
    2.0 * EARTH * chord.clamp(0.0, 1.0).sqrt().asin()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn london_and_new_york_are_28_milliseconds_apart() {
        let london = Place {
            latitude: 51.5074,
            longitude: -0.1278,
        };
        let new_york = Place {
            latitude: 40.7128,
            longitude: -74.0060,
        };
        // 5570 km, as any atlas has it.
        assert!((distance(london, new_york) - 5_570.0).abs() < 5.0);
        assert_eq!(delay(london, new_york).as_millis(), 27);
        assert_eq!(delay(london, london), Duration::ZERO);
        let antipode = Place {
            latitude: -51.5074,
            longitude: 179.8722,
        };
        assert!((distance(london, antipode) - std::f64::consts::PI * EARTH).abs() < 1.0);
    }
}
