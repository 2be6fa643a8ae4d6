//! Suggestions compared with the project's list of images, whose C libraries are from Dockerfiles and release lists.

use super::Score;

/// Columns: reference, libc, distribution, evidence. The first two never have a comma or a quote.
const IMAGES: &str = include_str!("../../../../tests/data/images.csv");

#[test]
fn suggests_nine_in_ten_listed_images_correctly_and_none_wrongly() {
    let mut score = Score::default();
    for line in IMAGES.lines().skip(1) {
        let mut columns = line.split(',');
        let (Some(reference), Some(libc)) = (columns.next(), columns.next()) else { unreachable!("{line}") };
        score.count(reference, libc);
    }
    assert!(score.rows >= 70, "the list is read to the end");
    score.assert_good();
}
