//! Words of a line, with their columns.

use spec::frame;

/// Most bytes that one word stands for.
pub const MOST_DATA: usize = 1 << 20;
/// Most bytes that generated frames of one trace stand for.
pub const MOST_GENERATED: usize = 1 << 30;

/// Why a text is no trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: expected {expected}")]
pub struct TextError {
    /// Line, from 1.
    pub line: usize,
    /// Column in bytes, from 1.
    pub column: usize,
    /// What should stand there.
    pub expected: &'static str,
}

/// The words of one line; a remark is none of them.
#[derive(Debug)]
pub(super) struct Words<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    /// Column of the word given last.
    column: usize,
    generated: &'a mut usize,
}

impl<'a> Words<'a> {
    pub fn new(line: usize, text: &'a str, generated: &'a mut usize) -> Self {
        let text = text.split('#').next().unwrap_or_default();
        Self { text, at: 0, line, column: 1, generated }
    }

    pub fn error(&self, expected: &'static str) -> TextError {
        TextError { line: self.line, column: self.column, expected }
    }

    /// The next word, if there is one.
    pub fn maybe(&mut self) -> Option<&'a str> {
        let rest = &self.text[self.at..];
        let from = self.at + (rest.len() - rest.trim_start().len());
        let rest = &self.text[from..];
        self.column = from + 1;
        let len = rest.find(char::is_whitespace).unwrap_or(rest.len());
        self.at = from + len;
        (len > 0).then(|| &rest[..len])
    }

    pub fn next(&mut self, expected: &'static str) -> Result<&'a str, TextError> {
        self.maybe().ok_or_else(|| self.error(expected))
    }

    /// That no word is left.
    pub fn end(&mut self) -> Result<(), TextError> {
        match self.maybe() {
            None => Ok(()),
            Some(_) => Err(self.error("the end of the line")),
        }
    }

    pub fn one_of<T: Copy>(&mut self, choices: &[(&str, T)], expected: &'static str) -> Result<T, TextError> {
        let word = self.next(expected)?;
        let found = choices.iter().find(|(name, _)| *name == word);
        found.map(|&(_, value)| value).ok_or_else(|| self.error(expected))
    }

    /// A hexadecimal number.
    pub fn hex<T: TryFrom<u64>>(&mut self, expected: &'static str) -> Result<T, TextError> {
        let word = self.next(expected)?;
        self.hex_in(word, expected)
    }

    /// A word given before as a hexadecimal number.
    pub fn hex_in<T: TryFrom<u64>>(&self, word: &str, expected: &'static str) -> Result<T, TextError> {
        let digits = word.strip_prefix("0x").filter(|digits| digits.bytes().all(|c| c.is_ascii_hexdigit()));
        let value = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        value.and_then(|value| T::try_from(value).ok()).ok_or_else(|| self.error(expected))
    }

    /// A decimal number.
    pub fn decimal<T: TryFrom<u64>>(&mut self, expected: &'static str) -> Result<T, TextError> {
        let word = self.next(expected)?;
        decimal(word).ok_or_else(|| self.error(expected))
    }

    /// `+N`, decimal.
    pub fn length(&mut self) -> Result<usize, TextError> {
        let word = self.next(LENGTH)?;
        let value = word.strip_prefix('+').and_then(decimal);
        value.filter(|&len: &usize| len <= MOST_DATA).ok_or_else(|| self.error(LENGTH))
    }

    /// `+0xN`.
    pub fn region_length(&mut self) -> Result<u64, TextError> {
        let word = self.next("a length as `+0x1000`")?;
        self.hex_in(word.strip_prefix('+').unwrap_or_default(), "a length as `+0x1000`")
    }

    /// Bytes as pairs of digits.
    pub fn bytes(&mut self) -> Result<Vec<u8>, TextError> {
        let word = self.next(BYTES)?;
        self.bytes_in(word)
    }

    /// A word given before as bytes.
    pub fn bytes_in(&self, word: &str) -> Result<Vec<u8>, TextError> {
        if word == "-" { Ok(Vec::new()) } else { self.pairs(word, BYTES) }
    }

    /// 16 bytes in memory order.
    pub fn cell(&mut self) -> Result<u128, TextError> {
        let bytes = self.bytes()?;
        let bytes = <[u8; 16]>::try_from(bytes).map_err(|_| self.error("16 bytes"))?;
        Ok(u128::from_le_bytes(bytes))
    }

    fn pairs(&self, word: &str, expected: &'static str) -> Result<Vec<u8>, TextError> {
        let (pairs, rest) = word.as_bytes().as_chunks::<2>();
        if !rest.is_empty() || pairs.len() > MOST_DATA {
            return Err(self.error(expected));
        }
        let digit = |c: u8| char::from(c).to_digit(16).map(|digit| digit as u8);
        let pairs = pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?));
        pairs.collect::<Option<_>>().ok_or_else(|| self.error(expected))
    }

    /// Bytes, or bytes and a generated payload.
    pub fn data(&mut self) -> Result<Vec<u8>, TextError> {
        let word = self.next(DATA)?;
        let Some((head, rest)) = word.split_once("frame(") else {
            return if word == "-" { Ok(Vec::new()) } else { self.pairs(word, DATA) };
        };
        let mut bytes = self.pairs(head, DATA)?;
        let mut numbers = rest.strip_suffix(')').ok_or_else(|| self.error(DATA))?.split(',');
        let mut number = || numbers.next().and_then(decimal::<u64>).ok_or_else(|| self.error(DATA));
        let (seed, id, len) = (number()?, number()?, number()?);
        let len = usize::try_from(len).ok().filter(|&len| len <= MOST_DATA).ok_or_else(|| self.error(DATA))?;
        if numbers.next().is_some() {
            return Err(self.error(DATA));
        }
        *self.generated = self.generated.saturating_add(len);
        if *self.generated > MOST_GENERATED {
            return Err(self.error("fewer bytes of generated frames"));
        }
        let from = bytes.len();
        bytes.resize(from + len, 0);
        frame::fill(seed, id, &mut bytes[from..]);
        Ok(bytes)
    }

    /// What is left of the line, blanks at both ends cut off.
    pub fn rest(&mut self, expected: &'static str) -> Result<&'a str, TextError> {
        let rest = self.text[self.at..].trim();
        self.column = self.at + 1;
        self.at = self.text.len();
        if rest.is_empty() { Err(self.error(expected)) } else { Ok(rest) }
    }
}

const LENGTH: &str = "a length as `+16`";
const BYTES: &str = "pairs of hexadecimal digits";
const DATA: &str = "pairs of hexadecimal digits, then perhaps `frame(SEED,ID,LENGTH)`";

fn decimal<T: TryFrom<u64>>(word: &str) -> Option<T> {
    if !word.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    T::try_from(word.parse::<u64>().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_columns_and_a_remark_is_none() {
        let mut generated = 0;
        let mut words = Words::new(3, " a  0xg # b", &mut generated);
        assert_eq!(words.maybe(), Some("a"));
        let refused = words.hex::<u32>("a number").unwrap_err();
        assert_eq!(refused.to_string(), "line 3, column 5: expected a number");
        assert_eq!(words.maybe(), None);
    }

    #[test]
    fn data_is_digits_or_a_generated_payload_and_bounded() {
        let data = |text: &str, generated: &mut usize| Words::new(1, text, generated).data();
        let mut generated = 0;
        assert_eq!(data("-", &mut generated).unwrap(), [0u8; 0]);
        assert_eq!(data("00ff", &mut generated).unwrap(), [0, 255]);
        let mut payload = vec![1, 2];
        payload.resize(32, 0);
        frame::fill(7, 9, &mut payload[2..]);
        assert_eq!(data("0102frame(7,9,30)", &mut generated).unwrap(), payload);
        for bad in [
            "",
            "0",
            "+1",
            "zz",
            "frame(7,9)",
            "frame(7,9,30",
            "frame(7,9,30,1)",
            "frame(7,9,1048577)",
            "frame(+7,9,3)",
        ] {
            assert!(data(bad, &mut generated).is_err(), "{bad}");
        }
        let mut generated = MOST_GENERATED;
        assert!(data("frame(7,9,30)", &mut generated).is_err());
    }
}
