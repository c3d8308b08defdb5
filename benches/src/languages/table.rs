//! Tables in Markdown.

/// A table whose first column has names, and whose others have figures.
pub(super) fn markdown(head: &[String], rows: &[(String, Vec<String>)]) -> String {
    let mut text = format!("| {} |\n| --- |", head.join(" | "));
    text.push_str(&" ---: |".repeat(head.len().saturating_sub(1)));
    text.push('\n');
    for (name, cells) in rows {
        text.push_str(&format!("| {name} | {} |\n", cells.join(" | ")));
    }
    text
}

/// The middle of several figures, or the lower of the two that are there.
pub(super) fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    let middle = figures.len().saturating_sub(1) / 2;
    figures.get(middle).copied().unwrap_or(f64::NAN)
}

/// Three digits, or a whole number with commas.
pub(super) fn number(value: f64) -> String {
    if value < 9.995 {
        return format!("{value:.2}");
    }
    if value < 99.95 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_or_commas() {
        for (value, text) in [
            (0.5, "0.50"),
            (9.99, "9.99"),
            (9.996, "10.0"),
            (99.96, "100"),
            (999.6, "1,000"),
            (1_234_567.0, "1,234,567"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn the_median_is_the_middle() {
        assert!(median(std::iter::empty()).is_nan());
        assert!((median([3.0, 1.0, 2.0].into_iter()) - 2.0).abs() < f64::EPSILON);
    }

    #[test]
    fn tables_are_markdown() {
        let head = ["µs".to_owned(), "msip".to_owned()];
        let rows = [("encode".to_owned(), vec!["1.00".to_owned()])];
        assert_eq!(
            markdown(&head, &rows),
            "| µs | msip |\n| --- | ---: |\n| encode | 1.00 |\n"
        );
    }
}
