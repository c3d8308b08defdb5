//! What a device behind a line that breaks has told, its station has heard.

use crate::program::Program;

#[test]
fn nothing_acknowledged_is_lost() {
    let mut telemetry = Program::start("telemetry", env!("CARGO_BIN_EXE_telemetry"), &[]);
    let made = telemetry.until("of which were dropped and counted");
    let dropped = number(&made, " readings, ");
    let told = telemetry.until("of them");
    let has = number(&told, "has ");
    assert!(told.ends_with("the newest included"), "{told}");
    assert!(dropped > 0, "the line is too slow for all of them: {made}");
    assert_eq!(dropped + has, 20_000, "{made}");
    telemetry.until("station  gets DEADLINE_EXCEEDED");
    telemetry.until("device   broke the calibration off");
    telemetry.until("station  gets the offset -0.25");
    telemetry.until("device   calibrated its sensor");
    let ended = telemetry.ended();
    let alarms = "  station  has 60 alarms, each once and in order";
    let alarms = ended.rest.iter().position(|line| line == alarms);
    let (of_alarms, of_datagrams) = ended.rest.split_at(alarms.expect("all alarms"));
    let lost = of_alarms.iter().filter(|line| line.contains("has lost"));
    assert_eq!(lost.count(), 3, "{:#?}", ended.rest);
    let last = of_datagrams.last().expect("a line");
    assert!(number(last, "has ") > 0, "{last}");
    assert_eq!(ended.code, Some(0));
}

/// The number behind these words.
fn number(line: &str, words: &str) -> u64 {
    let (_, rest) = line.split_once(words).expect("the words");
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().expect("a number")
}
