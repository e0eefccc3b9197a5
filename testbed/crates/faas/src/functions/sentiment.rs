//! How positive a text is, by a small list of words. The numbers have the meaning of the original's, not its values.

use super::body;

/// Words with their polarity (-1 to 1) and subjectivity (0 to 1).
const WORDS: &[(&str, f64, f64)] = &[
    ("amazing", 0.6, 0.9),
    ("angry", -0.5, 1.0),
    ("awesome", 1.0, 1.0),
    ("awful", -1.0, 1.0),
    ("bad", -0.7, 0.67),
    ("beautiful", 0.85, 1.0),
    ("best", 1.0, 0.3),
    ("better", 0.5, 0.5),
    ("boring", -1.0, 1.0),
    ("brilliant", 0.9, 1.0),
    ("broken", -0.4, 0.4),
    ("cheap", 0.4, 0.7),
    ("clean", 0.37, 0.7),
    ("cold", -0.6, 1.0),
    ("confusing", -0.3, 0.4),
    ("delicious", 1.0, 1.0),
    ("difficult", -0.5, 1.0),
    ("dirty", -0.6, 0.8),
    ("dislike", -0.5, 0.8),
    ("easy", 0.43, 0.83),
    ("excellent", 1.0, 1.0),
    ("fail", -0.5, 0.3),
    ("failed", -0.5, 0.3),
    ("fantastic", 0.4, 0.9),
    ("fast", 0.2, 0.6),
    ("fine", 0.42, 0.5),
    ("fun", 0.3, 0.2),
    ("glad", 0.5, 1.0),
    ("good", 0.7, 0.6),
    ("great", 0.8, 0.75),
    ("happy", 0.8, 1.0),
    ("hate", -0.8, 0.9),
    ("horrible", -1.0, 1.0),
    ("interesting", 0.5, 0.5),
    ("like", 0.3, 0.4),
    ("lost", -0.3, 0.3),
    ("love", 0.5, 0.6),
    ("loved", 0.7, 0.8),
    ("nice", 0.6, 1.0),
    ("perfect", 1.0, 1.0),
    ("pleasant", 0.73, 0.97),
    ("poor", -0.4, 0.6),
    ("reliable", 0.5, 0.5),
    ("sad", -0.5, 1.0),
    ("slow", -0.3, 0.4),
    ("strong", 0.43, 0.73),
    ("stupid", -0.8, 1.0),
    ("terrible", -1.0, 1.0),
    ("ugly", -0.7, 1.0),
    ("useful", 0.3, 0.0),
    ("useless", -0.5, 0.2),
    ("weak", -0.38, 0.63),
    ("wonderful", 1.0, 1.0),
    ("worst", -1.0, 1.0),
    ("wrong", -0.5, 0.9),
];
/// Words that turn the next one around, and how much of it is left.
const NEGATIONS: &[&str] = &[
    "no", "not", "never", "isn't", "wasn't", "don't", "doesn't", "didn't", "cannot", "can't",
];
const NEGATED: f64 = -0.5;
/// Words that make the next one stronger or weaker.
const DEGREES: &[(&str, f64)] = &[
    ("very", 1.3),
    ("really", 1.2),
    ("so", 1.2),
    ("extremely", 1.5),
    ("slightly", 0.5),
];

/// Answers with the averages over the sentences of the body.
pub(super) fn answer() -> Result<String, String> {
    let text = body()?;
    let sentences: Vec<(f64, f64)> = text
        .split(['.', '!', '?', '\n'])
        .filter(|sentence| sentence.chars().any(char::is_alphanumeric))
        .map(judge)
        .collect();
    let count = sentences.len();
    let mean = |value: fn(&(f64, f64)) -> f64| match count {
        0 => 0.0,
        count => sentences.iter().map(value).sum::<f64>() / count as f64,
    };
    Ok(format!(
        "{{\"polarity\": {:?}, \"subjectivity\": {:?}, \"sentence_count\": {count}}}\n",
        mean(|sentence| sentence.0),
        mean(|sentence| sentence.1)
    ))
}

/// Polarity and subjectivity of a sentence: the averages over the words that are known.
fn judge(sentence: &str) -> (f64, f64) {
    let (mut factor, mut polarity, mut subjectivity, mut known) = (1.0, 0.0, 0.0, 0_u32);
    for word in sentence.split(|character: char| !character.is_alphanumeric() && character != '\'') {
        let word = word.to_lowercase();
        if word.is_empty() {
            continue;
        }
        if NEGATIONS.contains(&word.as_str()) {
            factor *= NEGATED;
        } else if let Some((_, degree)) = DEGREES.iter().find(|(known, _)| *known == word) {
            factor *= degree;
        } else {
            if let Some((_, own, subjective)) = WORDS.iter().find(|(known, ..)| *known == word) {
                polarity += (own * factor).clamp(-1.0, 1.0);
                subjectivity += subjective;
                known += 1;
            }
            factor = 1.0;
        }
    }
    match known {
        0 => (0.0, 0.0),
        known => (polarity / f64::from(known), subjectivity / f64::from(known)),
    }
}

#[cfg(test)]
mod tests {
    use super::judge;

    #[test]
    fn words_and_what_stands_before_them_count() {
        assert_eq!(judge("the chair is there"), (0.0, 0.0));
        assert_eq!(judge("This is awesome"), (1.0, 1.0));
        assert!(judge("not good").0 < 0.0);
        assert!(judge("very good").0 > judge("good").0);
        assert!(judge("a terrible, useless thing").0 < -0.5);
    }
}
