//! Seed phrases (BIP39), in any of their ten languages, in capitals or not, with or without numbers between the words.

use std::collections::HashMap;
use std::sync::LazyLock;

use bip39::{Language, Mnemonic};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Fewest words of a phrase.
const WORDS: usize = 12;
/// How many of so many words in a row are on one language's list, at least: a phrase with one word mistyped is soon mended, and hardly any
/// prose has eleven of these words in twelve.
const LISTED: u32 = 11;

/// The languages whose lists have a word, a bit for each, by the word in small letters and decomposed.
static LISTS: LazyLock<HashMap<String, u16>> = LazyLock::new(|| {
    let mut lists = HashMap::new();
    for (bit, language) in Language::ALL.iter().enumerate() {
        for word in language.word_list() {
            *lists.entry(normalised(word)).or_default() |= 1 << bit;
        }
    }
    lists
});

/// Whether a text holds a seed phrase, or all but one word of it.
pub(super) fn holds_phrase(text: &str) -> bool {
    if words(text).nth(WORDS - 2).is_none() && text.is_ascii() {
        return false;
    }
    let text = normalised(text);
    let mut last = [0_u16; WORDS];
    let mut counts = [0_u32; 16];
    let mut seen = 0;
    for word in words(&text) {
        if word.bytes().all(|byte| byte.is_ascii_digit()) {
            // The number of a word.
            continue;
        }
        if is_unspaced_phrase(word) {
            return true;
        }
        let lists = LISTS.get(word).copied().unwrap_or(0);
        let oldest = std::mem::replace(&mut last[seen % WORDS], lists);
        seen += 1;
        for (bit, count) in counts.iter_mut().enumerate() {
            *count += u32::from((lists >> bit) & 1);
            *count -= u32::from((oldest >> bit) & 1);
            if *count >= LISTED && seen >= WORDS {
                return true;
            }
        }
    }
    false
}

/// Whether characters without a space between them are a phrase in Chinese. Most are common ones, so only the checksum distinguishes
/// it from prose.
fn is_unspaced_phrase(word: &str) -> bool {
    let count = word.chars().count();
    if !matches!(count, 12 | 15 | 18 | 21 | 24)
        || !word.chars().all(|letter| ('\u{4e00}'..='\u{9fff}').contains(&letter))
    {
        return false;
    }
    let spaced = word.chars().map(String::from).collect::<Vec<_>>().join(" ");
    [Language::SimplifiedChinese, Language::TraditionalChinese]
        .iter()
        .any(|language| Mnemonic::parse_in_normalized(*language, &spaced).is_ok())
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric() && !is_combining_mark(letter)).filter(|word| !word.is_empty())
}

fn normalised(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { text.to_lowercase().nfkd().collect() }
}

#[cfg(test)]
mod tests {
    use unicode_normalization::UnicodeNormalization;

    use super::*;

    #[test]
    fn phrases_of_every_language_case_and_spelling_are_seen() {
        for language in Language::ALL {
            for length in [16_u8, 32] {
                let entropy: Vec<u8> = (0..length).map(|byte: u8| byte.wrapping_mul(37).wrapping_add(11)).collect();
                let phrase = Mnemonic::from_entropy_in(*language, &entropy).unwrap().to_string();
                let numbered: Vec<_> = phrase.split(' ').zip(1..).map(|(word, at)| format!("{at}. {word}")).collect();
                let spellings = [
                    phrase.clone(),
                    phrase.to_uppercase(),
                    phrase.nfc().collect(),
                    phrase.nfd().collect(),
                    phrase.replace(' ', "\u{3000}"),
                    phrase.replace(' ', ", "),
                    phrase.replace(' ', "\n"),
                    numbered.join(" "),
                    format!("the seed is: {phrase}."),
                ];
                for text in spellings {
                    assert!(holds_phrase(&text), "{language:?}: {text}");
                }
            }
        }
        let chinese = Mnemonic::from_entropy_in(Language::SimplifiedChinese, &[7; 16]).unwrap().to_string();
        assert!(holds_phrase(&chinese.replace(' ', "")));
    }

    #[test]
    fn a_phrase_with_one_wrong_word_is_seen_and_prose_is_not() {
        let phrase = "legal winner thank year wave sausage worth useful legal winner thank yellow";
        assert!(holds_phrase(&phrase.replace("sausage", "sausages")));
        assert!(!holds_phrase(&phrase.replace("sausage", "sausages").replace("useful", "usefully")));
        assert!(!holds_phrase(phrase.rsplit_once(' ').unwrap().0), "eleven words");
        let prose = [
            "scam email claims hacked webcam video threat send money unless paid bitcoin within hours",
            "the wallets that were used by the group to move the coins which had been taken from the exchange last year",
            "Les portefeuilles que le groupe a utilisés pour transférer les pièces volées à la bourse l'année dernière",
            "Кошельки, которые группа использовала для перевода украденных монет",
            "该组织用于转移去年从交易所盗取的比特币的钱包地址列表",
            "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15",
        ];
        for text in prose {
            assert!(!holds_phrase(text), "{text}");
        }
    }
}
