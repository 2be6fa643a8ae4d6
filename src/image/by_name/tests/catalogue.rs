//! Suggestions against the project's list of images whose C library somebody read in a Dockerfile or a release list.

use super::Score;

/// Columns: reference, libc, distribution, evidence. The first two never hold a comma or a quote.
const IMAGES: &str = include_str!("../../../../tests/data/images.csv");

#[test]
fn no_known_image_is_suggested_wrongly_and_nine_in_ten_rightly() {
    let mut score = Score::default();
    for line in IMAGES.lines().skip(1) {
        let mut columns = line.split(',');
        let (Some(reference), Some(libc)) = (columns.next(), columns.next()) else { unreachable!("{line}") };
        score.count(reference, libc);
    }
    assert!(score.rows >= 70, "the list is read to its end");
    score.must_be_good();
}
