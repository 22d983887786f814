//! The date a prompt shows. Injected, because a prompt must be reproducible; UTC, because a worker
//! serves people in more than one place.

use std::time::{SystemTime, UNIX_EPOCH};

/// A moment, to the second, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub unix_seconds: i64,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

impl Clock {
    /// The machine's clock.
    pub fn now() -> Self {
        let seconds = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => after.as_secs() as i64,
            Err(before) => -(before.duration().as_secs() as i64),
        };
        Clock { unix_seconds: seconds }
    }

    /// Midnight of a day.
    pub fn at_date(year: i64, month: u32, day: u32) -> Self {
        Clock { unix_seconds: days_from_civil(year, month, day) * 86_400 }
    }

    /// Python's `strftime` in the C locale. The error names the directive that is not known.
    pub fn strftime(&self, format: &str) -> Result<String, String> {
        let days = self.unix_seconds.div_euclid(86_400);
        let second = self.unix_seconds.rem_euclid(86_400) as u32;
        let (year, month, day) = civil_from_days(days);
        let weekday = (days + 4).rem_euclid(7) as usize;
        let day_of_year = days - days_from_civil(year, 1, 1) + 1;
        let hour = second / 3600;
        let hour12 = (hour + 11) % 12 + 1;
        let mut out = String::new();
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            let mut directive = chars.next();
            // glibc's `%-d`: without padding.
            let padded = directive != Some('-');
            if !padded {
                directive = chars.next();
            }
            let two = |n: u32| if padded { format!("{n:02}") } else { n.to_string() };
            match directive {
                Some('Y') => out += &year.to_string(),
                Some('y') => out += &two(year.rem_euclid(100) as u32),
                Some('m') => out += &two(month),
                Some('d') => out += &two(day),
                Some('e') => out += &format!("{day:>2}"),
                Some('H') => out += &two(hour),
                Some('I') => out += &two(hour12),
                Some('M') => out += &two(second / 60 % 60),
                Some('S') => out += &two(second % 60),
                Some('j') => out += &format!("{day_of_year:03}"),
                Some('p') => out += if hour < 12 { "AM" } else { "PM" },
                Some('B') => out += MONTHS[month as usize - 1],
                Some('b' | 'h') => out += &MONTHS[month as usize - 1][..3],
                Some('A') => out += WEEKDAYS[weekday],
                Some('a') => out += &WEEKDAYS[weekday][..3],
                Some('u') => out += &(if weekday == 0 { 7 } else { weekday }).to_string(),
                Some('w') => out += &weekday.to_string(),
                Some('F') => out += &self.strftime("%Y-%m-%d")?,
                Some('D' | 'x') => out += &self.strftime("%m/%d/%y")?,
                Some('T' | 'X') => out += &self.strftime("%H:%M:%S")?,
                Some('R') => out += &self.strftime("%H:%M")?,
                Some('c') => out += &self.strftime("%a %b %e %H:%M:%S %Y")?,
                Some('s') => out += &self.unix_seconds.to_string(),
                // Python's naive `datetime.now()` has no zone: both are empty there.
                Some('z' | 'Z') => {}
                Some('%') => out.push('%'),
                Some(other) => return Err(format!("strftime directive '%{other}' is not known")),
                None => return Err(format!("strftime format '{format}' ends in '%'")),
            }
        }
        Ok(out)
    }
}

// The proleptic Gregorian calendar in 400-year eras that start on 1 March, so that a leap day is
// the last day of its year.
fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let month_from_march = i64::from((month + 9) % 12);
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u32;
    let month = ((month_from_march + 2) % 12 + 1) as u32;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}
