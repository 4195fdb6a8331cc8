//! Days and dates of the Gregorian calendar, as all computers reckon: without leap seconds, and backwards as
//! well.
//!
//! Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms". Years begin in March there, so that
//! the day which may be missing is the last; 400 years, an era, have always the same number of days.

/// A day of the calendar; months and days count from 1.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Date {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
}

pub(crate) const DAY_S: i64 = 86_400;

const ERA_DAYS: i64 = 146_097;
/// From 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;

impl Date {
    /// The date that is so many days after 1970-01-01.
    pub(crate) const fn of(days: i64) -> Self {
        let days = days.saturating_add(EPOCH_DAYS);
        let era = days.div_euclid(ERA_DAYS);
        let day_of_era = days.rem_euclid(ERA_DAYS);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + (month <= 2) as i64;
        Self { year, month, day }
    }

    /// Days after 1970-01-01; `None` for what is no date, and for years past 9999.
    pub(crate) fn days(self) -> Option<i64> {
        let Self { year, month, day } = self;
        if !(0..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return None;
        }
        let year = year - i64::from(month <= 2);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = year.div_euclid(400) * ERA_DAYS + day_of_era - EPOCH_DAYS;
        // A day that its month does not have would be one of the next.
        (Self::of(days) == self).then_some(days)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Date;

    fn check(year: i64, month: i64, day: i64, days: Option<i64>) {
        let date = Date { year, month, day };
        assert_eq!(date.days(), days, "{date:?}");
        assert!(days.is_none_or(|days| Date::of(days) == date), "{date:?}");
    }

    #[test]
    fn days_and_dates_agree() {
        check(1970, 1, 1, Some(0));
        check(1969, 12, 31, Some(-1));
        check(2000, 2, 29, Some(11_016));
        check(2000, 3, 1, Some(11_017));
        check(1900, 2, 29, None);
        check(2023, 2, 29, None);
        check(2024, 4, 31, None);
        check(2024, 0, 1, None);
        check(2024, 13, 1, None);
        check(2024, 1, 0, None);
        check(9999, 12, 31, Some(2_932_896));
        check(10_000, 1, 1, None);
        assert!(Date::of(i64::MAX).year > 9999 && Date::of(i64::MIN).year < 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_day_is_that_of_its_date(days in -719_000i64..2_932_896) {
            prop_assert_eq!(Date::of(days).days(), Some(days));
        }
    }
}
