//! The filter mode of `examples/next_runs`, over the corpus.

#[path = "../examples/next_runs/filter.rs"]
mod filter;

use serde_json::{Value, json};

fn answers(input: &str, count: usize) -> Vec<Value> {
    let mut output = Vec::new();
    filter::run(input.as_bytes(), &mut output, count).unwrap();
    let output = String::from_utf8(output).unwrap();
    output
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn answers_the_corpus() {
    let corpus = include_str!("../testdata/cron/cron-corpus-backup-policy.jsonl");
    let answers = answers(corpus, 5);
    assert_eq!(answers.len(), corpus.lines().count());
    for (line, answer) in corpus.lines().zip(answers) {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(answer["next"], line["next"], "{line}");
    }
}

#[test]
fn answers_every_line() {
    let input = concat!(
        r#"{"expr":"0 7 * * *","tz":"UTC","from":"2025-12-31T12:00:00Z"}"#,
        "\n\n",
        r#"{"expr":"0 7 * * * Asia/Tokyo","tz":"UTC","from":"2025-12-31T12:00:00+01:00"}"#,
        "\n",
        r#"{"expr":"0 7 * * *","tz":"GMT+2","from":"2025-12-31T12:00:00Z"}"#,
        "\n",
        r#"{"expr":"61 7 * * *","tz":"UTC","from":"2025-12-31T12:00:00Z"}"#,
        "\n",
        r#"{"expr":"0 7 * * *","tz":"UTC","from":"yesterday"}"#,
        "\n",
        r#"{"expr":"0 7 1 * *","from":"9999-12-01T00:00:00Z"}"#,
        "\n",
        "\u{0}",
    );
    let answers = answers(input, 1);
    assert_eq!(answers[0], json!({"next": ["2026-01-01T07:00:00Z"]}));
    assert_eq!(answers[1], json!({"next": ["2025-12-31T22:00:00Z"]}));
    assert!(
        answers[2..5]
            .iter()
            .all(|answer| answer["error"].is_string())
    );
    assert_eq!(answers[5], json!({"next": ["9999-12-01T07:00:00Z"]}));
    assert_eq!(answers.len(), 7);
}
