//! Names of sites as names of nodes, by a rule that gives the same file the same names for ever.

use std::collections::HashSet;

use crate::topology::validate::names::check_node;

/// Longest name of a node, with room for a number.
const ROOM: usize = 28;

/// Gives out names, each once.
#[derive(Default)]
pub(super) struct Names {
    taken: HashSet<String>,
}

impl Names {
    /// The name of the next site: small letters, digits and single `-`; letters with accents lose them; anything else
    /// becomes `-`. What is left over is `site`, and what is taken gets `-2`, `-3`, …
    pub(super) fn name(&mut self, label: &str) -> String {
        let stem = stem(label);
        let mut name = stem.clone();
        let mut number = 2;
        while check_node(&name).is_err() || self.taken.contains(&name) {
            name = format!("{stem}-{number}");
            number += 1;
        }
        self.taken.insert(name.clone());
        name
    }
}

fn stem(label: &str) -> String {
    let mut stem = String::new();
    for letter in label.chars().flat_map(char::to_lowercase) {
        let plain = plain(letter);
        if plain.is_empty() {
            if !stem.ends_with('-') && !stem.is_empty() {
                stem.push('-');
            }
        } else {
            stem.push_str(plain.as_str());
        }
    }
    while stem.len() > ROOM {
        stem.pop();
    }
    let stem = stem.trim_matches('-');
    if stem.is_empty() {
        "site".to_owned()
    } else {
        stem.to_owned()
    }
}

/// The letters a-z and digits for a small letter; empty if there are none.
fn plain(letter: char) -> String {
    let text = match letter {
        'a'..='z' | '0'..='9' => return letter.to_string(),
        'à' | 'á' | 'â' | 'ã' | 'å' | 'ā' | 'ă' | 'ą' => "a",
        'ä' | 'æ' => "ae",
        'ç' | 'ć' | 'č' => "c",
        'ď' | 'đ' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ę' | 'ě' => "e",
        'ğ' => "g",
        'ì' | 'í' | 'î' | 'ï' | 'ı' => "i",
        'ł' => "l",
        'ñ' | 'ń' | 'ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ø' | 'ő' => "o",
        'ö' | 'œ' => "oe",
        'ř' => "r",
        'ś' | 'š' | 'ş' => "s",
        'ß' => "ss",
        'ť' => "t",
        'ù' | 'ú' | 'û' | 'ů' | 'ű' => "u",
        'ü' => "ue",
        'ý' => "y",
        'ź' | 'ż' | 'ž' => "z",
        _ => "",
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_become_names_and_each_is_given_once() {
        let mut names = Names::default();
        let given = [
            "Zürich",
            "New York, NY",
            "St. Louis",
            "??",
            "new-york ny",
            "wire",
            "日本",
            "A very long name of a place in the hills",
        ];
        assert_eq!(
            given.map(|label| names.name(label)),
            [
                "zuerich",
                "new-york-ny",
                "st-louis",
                "site",
                "new-york-ny-2",
                "wire-2",
                "site-2",
                "a-very-long-name-of-a-place"
            ]
        );
    }
}
