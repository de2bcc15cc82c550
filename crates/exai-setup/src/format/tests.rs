//! Each format through the same doors.

mod layout;
mod round_trip;
